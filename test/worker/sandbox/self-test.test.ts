import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { unavailable } from '../../../core/error.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { RunEnded } from '../../../proto/gen/ingot/v1/launcher.ts';
import { leaseFolderOf } from '../../../worker/launcher/lease-folder.ts';
import { probesFor } from '../../../worker/sandbox/probes.ts';
import type { Sandbox } from '../../../worker/sandbox/sandbox.ts';
import { selfTestSandbox } from '../../../worker/sandbox/self-test.ts';
import { rejection } from '../../setup/rejection.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

/** A sandbox in which every probe gives the expected answer but for the ones named. */
function sandboxAnswering(workerFolder: string, others: Readonly<Record<string, string>>) {
  const removed: string[] = [];
  const sandbox: Sandbox = {
    addInputs: async () => undefined,
    run: async ({ leaseKey }) => {
      const { stdout, stderr } = leaseFolderOf(workerFolder, leaseKey);
      await mkdir(dirname(stdout), { recursive: true });
      const lines = probesFor('strict').map(
        ({ name, expected }, index) => `${index} ${others[name] ?? expected}`,
      );
      await writeFile(stdout, `${lines.join('\n')}\n`);
      await writeFile(stderr, '');
      return RunEnded.create({ exitCode: 0 });
    },
    collect: async () => [],
    remove: async (leaseKey) => {
      removed.push(leaseKey);
    },
  };
  return { sandbox, removed };
}

describe('selfTestSandbox', () => {
  test('tells what each probe saw, and cleans up', async () => {
    await using folder = await tempFolder();
    const { sandbox, removed } = sandboxAnswering(folder.path, {});
    const options = { sandbox, level: 'strict', workerFolder: folder.path, inputBlob: 'x' } as const;
    const results = await selfTestSandbox(options);
    expect(results).toContainEqual({ name: 'mount', expected: 'refused', seen: 'refused', passed: true });
    expect(removed).toHaveLength(1);
  });

  test('names every probe that got through', async () => {
    await using folder = await tempFolder();
    const { sandbox, removed } = sandboxAnswering(folder.path, {
      mount: 'done',
      'network interfaces': 'lo eth0',
    });
    const options = { sandbox, level: 'strict', workerFolder: folder.path, inputBlob: 'x' } as const;
    expect(await rejection(selfTestSandbox(options))).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message:
        'The strict sandbox failed its self-test: it ended with exit code 0' +
        '; network interfaces: saw lo eth0, expected lo; mount: saw done, expected refused',
    });
    expect(removed).toHaveLength(1);
  });

  test('a sandbox that cannot be made fails with its own words', async () => {
    await using folder = await tempFolder();
    const { sandbox } = sandboxAnswering(folder.path, {});
    sandbox.run = async () => {
      throw unavailable('make the sandbox: bwrap: No permissions to create new namespace');
    };
    const options = { sandbox, level: 'basic', workerFolder: folder.path, inputBlob: 'x' } as const;
    expect((await rejection(selfTestSandbox(options))).message).toBe(
      'The basic sandbox failed its self-test: make the sandbox: bwrap: No permissions to create new namespace',
    );
  });
});
