import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FolderLock } from '../../core/folder-lock.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { rejection } from '../setup/rejection.ts';

const MODULE = join(import.meta.dirname, '../../core/folder-lock.ts');
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ingot-test-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const claims = () => readdir(join(folder, 'lock'));

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
    const [file] = await claims();
    expect(await rejection(FolderLock.acquire(folder))).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: `${folder} is in use by process ${process.pid}: stop it, or choose another folder (lock file ${folder}/lock)`,
    });
    expect(await claims()).toEqual([file]);
    await lock.close();
    expect(await claims()).toEqual([]);
    await using _again = await FolderLock.acquire(folder);
    expect(await claims()).toHaveLength(1);
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
    expect(await claims()).toHaveLength(1);
  });

  it('removes the claims of processes that are gone, and nothing else', async () => {
    const { pid } = process;
    const lock = await FolderLock.acquire(folder);
    const [own = ''] = await claims();
    await lock.close();
    const [, startTime = '', boot = '', nonce = ''] = own.split('.');
    const stale = [
      // This pid, but another start or another boot: the number was used again.
      `${pid}.1.${boot}.${nonce}`,
      `${pid}.${startTime}.${boot.replace(/^.{8}/, '00000000')}.${nonce}`,
      `${2 ** 22 + 1}.${startTime}.${boot}.${nonce}`,
    ];
    for (const name of [...stale, 'notes', 'old.lock']) await writeFile(join(folder, 'lock', name), 'held\n');
    await using _again = await FolderLock.acquire(folder);
    const left = await claims();
    expect(left.filter((name) => !name.startsWith(`${pid}.${startTime}.${boot}`)).sort()).toEqual([
      'notes',
      'old.lock',
    ]);
    expect(left).toHaveLength(3);
  });

  it('goes to at most one of many that begin at once, and to one that comes after', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => FolderLock.acquire(folder)));
    const won = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    expect(won.length).toBeLessThanOrEqual(1);
    expect(await claims()).toHaveLength(won.length);
    for (const lock of won) await lock.close();
    await using _lock = await FolderLock.acquire(folder);
  });
});
