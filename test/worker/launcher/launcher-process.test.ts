import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { LauncherProcess } from '../../../worker/launcher/launcher-process.ts';
import { recordingLogger } from '../../setup/recording-logger.ts';
import { rejection } from '../../setup/rejection.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

let cache: Awaited<ReturnType<typeof tempFolder>>;
beforeAll(async () => {
  cache = await tempFolder();
});
afterAll(async () => {
  await cache[Symbol.asyncDispose]();
});

/** With compiled code that is there from the second start on, as for a worker. */
async function start(): Promise<LauncherProcess> {
  const compileCacheFolder = join(cache.path, 'compile-cache');
  return await LauncherProcess.start({
    logger: recordingLogger(),
    compileCacheFolder,
    ownMountNamespace: false,
  });
}

describe('LauncherProcess', () => {
  test("has nothing of the agent's environment and is small", async () => {
    process.env.INGOT_TOKEN = 'secret';
    const launcher = await start();
    delete process.env.INGOT_TOKEN;
    // Answered, even with an error, it has loaded all of its code.
    const error = await rejection(launcher.request({ $case: 'remove', value: { leaseKey: 'lease-1' } }));
    expect(error).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: 'the launcher is not configured',
    });
    const environment = await readFile(`/proc/${launcher.pid}/environ`, 'utf8');
    expect(
      environment
        .split('\0')
        .map((line) => line.split('=')[0])
        .sort(),
    ).toEqual(['', 'LC_ALL', 'NODE_COMPILE_CACHE', 'PATH']);
    // What forking copies: the rest are pages of the Node binary, shared with every other Node process.
    const [, kib] = /^RssAnon:\s+([0-9]+) kB$/m.exec(await readFile(`/proc/${launcher.pid}/status`, 'utf8'))!;
    expect(Number(kib)).toBeLessThan(32 * 1024);
    await launcher.close();
    expect(await launcher.exited).toBe('it ended with exit code 0');
  });

  test('is as small where compiled code lies about that is not its own', async () => {
    await using folder = await tempFolder();
    const options = { logger: recordingLogger(), compileCacheFolder: folder.path, ownMountNamespace: false };
    const launcher = await LauncherProcess.start(options);
    const [, kib] = /^RssAnon:\s+([0-9]+) kB$/m.exec(await readFile(`/proc/${launcher.pid}/status`, 'utf8'))!;
    expect(Number(kib)).toBeLessThan(24 * 1024);
    await launcher.close();
  });

  test('fails what is under way when it dies', async () => {
    const launcher = await start();
    launcher.kill();
    const request = launcher.request({ $case: 'remove', value: { leaseKey: 'lease-1' } });
    const message = 'the launcher is gone: it ended with SIGKILL';
    expect(await rejection(request)).toMatchObject({ code: Code.UNAVAILABLE, message });
    const later = launcher.request({ $case: 'remove', value: { leaseKey: 'lease-1' } });
    expect(await rejection(later)).toMatchObject({ code: Code.UNAVAILABLE, message });
  });

  test('refuses a lease key that leads elsewhere', async () => {
    await using folder = await tempFolder();
    const launcher = await start();
    await launcher.request({
      $case: 'configure',
      value: {
        level: 'none',
        workerFolder: folder.path,
        slots: 1,
        imageMounts: [],
        imageSymlinks: [],
        mountSources: [],
        cpuCeiling: false,
      },
    });
    for (const leaseKey of ['../x', '', 'a/b', '.']) {
      const error = await rejection(launcher.request({ $case: 'remove', value: { leaseKey } }));
      expect(error).toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message: `lease key "${leaseKey}" is malformed`,
      });
    }
    const entry = { path: '../out', kind: 0, source: '', mtime: undefined } as const;
    const add = launcher.request({
      $case: 'addInputs',
      value: { leaseKey: 'lease-1', slot: 0, entries: [entry] },
    });
    expect((await rejection(add)).message).toBe('input path "../out" does not lead downwards');
    await launcher.close();
  });

  test('closes what it was given open besides its three streams', async () => {
    const main = new URL('../../../worker/launcher/inherited-descriptors.ts', import.meta.url).pathname;
    const script = `
      import { readdirSync, readlinkSync } from 'node:fs';
      const { closeInheritedDescriptors } = await import(process.argv[1]);
      const open = () => readdirSync('/proc/self/fd').filter((fd) => {
        try { return readlinkSync('/proc/self/fd/' + fd) === '/dev/zero'; } catch { return false; }
      }).length;
      const before = open();
      closeInheritedDescriptors();
      console.log(before, open());`;
    // Node itself takes care of low ones.
    const command = 'exec 200</dev/zero; exec "$0" --input-type=module -e "$1" "$2"';
    const { stdout } = spawnSync('bash', ['-c', command, process.execPath, script, main], {
      encoding: 'utf8',
    });
    expect(stdout).toBe('1 0\n');
  });
});
