import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { followLog } from '../../../worker/agent/log-follower.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

async function textOf(source: AsyncIterable<Uint8Array>): Promise<string> {
  let text = '';
  for await (const chunk of source) text += Buffer.from(chunk).toString();
  return text;
}

test('shows what is written while it is written, and the rest at the end', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'stdout');
  const ended = new AbortController();
  const log = followLog({ path, ended: ended.signal, bytesMax: 1000 });
  await writeFile(path, 'one ');
  expect(Buffer.from((await log.next()).value!).toString()).toBe('one ');
  await appendFile(path, 'two ');
  expect(Buffer.from((await log.next()).value!).toString()).toBe('two ');
  await appendFile(path, 'three');
  ended.abort();
  expect(await textOf(log)).toBe('three');
});

test('a file that never appears is an empty log', async () => {
  await using folder = await tempFolder();
  const ended = new AbortController();
  setTimeout(() => ended.abort(), 10);
  expect(await textOf(followLog({ path: join(folder.path, 'no'), ended: ended.signal, bytesMax: 10 }))).toBe(
    '',
  );
});

test('does not run ahead of the limit, so that the notice of a cut log is shown once and in its place', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'stdout');
  const ended = new AbortController();
  await writeFile(path, '0123456789 far too much');
  const log = followLog({ path, ended: ended.signal, bytesMax: 10 });
  expect(Buffer.from((await log.next()).value!).toString()).toBe('0123456789');
  await writeFile(path, '0123456789[cut]');
  ended.abort();
  expect(await textOf(log)).toBe('[cut]');
});
