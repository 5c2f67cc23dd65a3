import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FolderLock } from '../../core/folder-lock.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { rejection } from './rejection.ts';

const MODULE = join(import.meta.dirname, '../../core/folder-lock.ts');
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ingot-test-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** Another process that takes the lock and holds it until it is killed. */
async function otherHolder() {
  const script = `
    const { FolderLock } = await import(${JSON.stringify(MODULE)});
    await FolderLock.acquire(${JSON.stringify(folder)});
    console.log('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return {
    pid: child.pid,
    async kill() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

describe('FolderLock', () => {
  it('is held once, also within a process, until it is closed', async () => {
    const lock = await FolderLock.acquire(folder);
    expect(await rejection(FolderLock.acquire(folder))).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: `${folder} is in use by process ${process.pid}: stop it, or choose another folder (lock file ${folder}/lock)`,
    });
    await lock.close();
    expect(await readdir(folder)).toEqual([]);
    await using _again = await FolderLock.acquire(folder);
    expect(await readdir(folder)).toEqual(['lock']);
  });

  it('names the process that holds it, and is free once that is killed', async () => {
    const other = await otherHolder();
    try {
      expect((await rejection(FolderLock.acquire(folder))).message).toContain(
        `in use by process ${other.pid}:`,
      );
    } finally {
      await other.kill();
    }
    await using _lock = await FolderLock.acquire(folder);
    expect(await readdir(folder)).toEqual(['lock']);
  });

  it('takes over what no living process has written', async () => {
    const { pid } = process;
    const stale = [
      '',
      'garbage',
      '{"pid":-1}',
      // This pid, but another start or another boot: the number was used again.
      JSON.stringify({ pid, startTime: '1', bootId: '', nonce: 'x' }),
      JSON.stringify({ pid, startTime: '', bootId: 'another', nonce: 'x' }),
      JSON.stringify({ pid: 2 ** 22 + 1, startTime: '', bootId: '', nonce: 'x' }),
    ];
    for (const text of stale) {
      await writeFile(join(folder, 'lock'), text);
      const lock = await FolderLock.acquire(folder);
      expect(JSON.parse(await readFile(join(folder, 'lock'), 'utf8')).pid).toBe(pid);
      await lock.close();
    }
  });

  it('goes to one of many that find it stale at once', async () => {
    await writeFile(join(folder, 'lock'), 'garbage');
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => FolderLock.acquire(folder)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await readdir(folder)).toEqual(['lock']);
  });

  it('does not remove a lock that is no longer its own', async () => {
    const lock = await FolderLock.acquire(folder);
    await writeFile(join(folder, 'lock'), 'of someone else');
    await lock.close();
    expect(await readFile(join(folder, 'lock'), 'utf8')).toBe('of someone else');
  });
});
