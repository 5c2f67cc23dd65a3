import { open, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Quarantine } from '../../../cache/blobs/quarantine.ts';
import { recordingLogger } from '../../setup/recording-logger.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { sampleBlob } from '../bytes.ts';

async function damagedFile(folder: string, seed: number) {
  const { digest } = sampleBlob(10, seed);
  const path = join(folder, digest.hash);
  await writeFile(path, 'rotten');
  await using handle = await open(path);
  const damage = { hash: digest.hash, expectedBytes: 10, seen: '6 bytes' };
  return { path, damage, stats: await handle.stat({ bigint: true }) };
}

it('keeps a number of damaged files, and removes those beyond it', async () => {
  await using blobs = await tempFolder();
  await using folder = await tempFolder();
  const logger = recordingLogger();
  const quarantine = new Quarantine({ folder: folder.path, logger });
  for (let seed = 0; seed < 66; seed += 1) {
    const { path, damage, stats } = await damagedFile(blobs.path, seed);
    await quarantine.take(path, stats, damage);
  }
  expect(await readdir(blobs.path)).toEqual([]);
  expect(await readdir(folder.path)).toHaveLength(64);
  expect(quarantine.count).toBe(66);
  expect(logger.at('error')).toHaveLength(66);
  expect(logger.at('error')[0]).toEqual({
    level: 'error',
    fields: {
      hash: sampleBlob(10, 0).digest.hash,
      expectedBytes: 10,
      seen: '6 bytes',
      kept: true,
    },
    message: 'a damaged blob was taken out of the store',
  });
});

it('leaves a file that an upload has put in place of the damaged one', async () => {
  await using blobs = await tempFolder();
  await using folder = await tempFolder();
  const quarantine = new Quarantine({ folder: folder.path, logger: recordingLogger() });
  const { path, damage, stats } = await damagedFile(blobs.path, 1);
  await quarantine.take(path, { ...stats, ino: stats.ino + 1n }, damage);
  await quarantine.take(join(blobs.path, 'gone'), stats, damage);
  expect(await readdir(blobs.path)).toHaveLength(1);
  expect(quarantine.count).toBe(0);
});
