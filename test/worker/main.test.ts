import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PRECONDITION_FAILURE_TYPE, unpackAny } from '../../core/error-details.ts';
import { writeToolchainManifest } from '../../core/toolchain/toolchain-manifest.ts';
import { fingerprintTree } from '../../core/toolchain/tree-fingerprint.ts';
import { identifyTree } from '../../core/toolchain/tree-identity.ts';
import type { ExecuteResponse } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Action, Command } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { PreconditionFailure } from '../../proto/gen/google/rpc/error_details.ts';
import { describeStrict } from './describe-strict.ts';
import { RunningWorker } from './running-worker.ts';
import { storeAction, storeTree } from './stored-action.ts';

/** Subjects of the MISSING violations of a response. */
function missingOf({ status }: ExecuteResponse): string[] {
  const failure = unpackAny(PreconditionFailure, PRECONDITION_FAILURE_TYPE, status!.details[0]!);
  expect(failure!.violations.every(({ type }) => type === 'MISSING')).toBe(true);
  return failure!.violations.map(({ subject }) => subject).sort();
}

/** A toolchain of one program, `DATA/toolchains/tool-1`. */
async function makeToolchain(data: string): Promise<void> {
  const folder = join(data, 'toolchains', 'tool-1');
  await mkdir(join(folder, 'bin'), { recursive: true });
  await writeFile(join(folder, 'bin', 'mytool'), '#!/bin/sh\necho "$TOOL_HOME"\n', { mode: 0o755 });
  await writeToolchainManifest(folder, {
    ...{ schema: 1, name: 'tool', version: '1', build: '1', source: 'packages', packages: [], root: '.' },
    ...{ parts: ['bin'], pathFolders: ['bin'], rootVariables: ['TOOL_HOME'] },
    ...(await identifyTree(folder, ['bin'])),
    fingerprint: await fingerprintTree(folder, ['bin']),
  });
}

describeStrict('a worker', () => {
  let worker: RunningWorker;
  beforeAll(async () => {
    worker = await RunningWorker.start({ accept: ['container-image'] }, makeToolchain);
  });
  afterAll(async () => {
    await worker?.[Symbol.asyncDispose]();
  });

  async function handbackOf(...args: Parameters<RunningWorker['commitOf']>) {
    const { outcome } = await worker.commitOf(...args);
    if (outcome?.$case !== 'handback') throw new Error(`expected a handback, got ${JSON.stringify(outcome)}`);
    return outcome.value;
  }

  test('names every blob an action lacks (R15)', async () => {
    const store = worker.store;
    const inputs = { a: 'first', d: { b: 'second', c: 'third' }, e: { f: 'fourth' } };
    const action = storeAction(store, { arguments: ['true'], inputs });
    const gone = ['first', 'third'].map((text) => store.put(Buffer.from(text)));
    gone.push(storeTree(store, inputs.e));
    for (const digest of gone) store.remove(digest);
    const { outcome } = await worker.commitOfStored(action);
    const response = outcome!.value as ExecuteResponse;
    expect(response.status).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: expect.stringMatching(/^3 blobs, such as [0-9a-f]{64}\/[0-9]+, are missing$/),
    });
    expect(missingOf(response)).toEqual(gone.map((digest) => `blobs/${digest}`).sort());
    expect(response.result).toBeUndefined();
  });

  test.each(['action', 'command'])('names an absent %s', async (which) => {
    const store = worker.store;
    const command = store.put(Command.encode(Command.create({ arguments: ['true', which] })).finish());
    const root = storeTree(store, {});
    const bytes = Action.encode(
      Action.create({ commandDigest: command.toMessage(), inputRootDigest: root.toMessage() }),
    ).finish();
    const action = store.put(bytes);
    const gone = which === 'action' ? action : command;
    store.remove(gone);
    const { outcome } = await worker.commitOfStored(action);
    const response = outcome!.value as ExecuteResponse;
    expect(response.status).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: `blob ${gone} is missing`,
    });
    expect(missingOf(response)).toEqual([`blobs/${gone}`]);
  });

  test('a toolchain is there for those who ask for it, and for nobody else', async () => {
    const id = worker.scheduler.worker.properties.find(({ name }) => name === 'toolchain')!.value;
    expect(id).toMatch(/^tool-1-[0-9a-f]{12}$/);
    expect(await worker.shell('mytool', { platform: { toolchain: id } })).toBe(`/opt/ingot/${id}\n`);
    expect(await worker.shell('ls /opt; mytool')).toMatch(/mytool: not found\n\[exit code 127\]$/);
  });

  test('a value of a property the host stands in for is no hindrance', async () => {
    expect(await worker.shell('echo ok', { platform: { 'container-image': 'docker://x' } })).toBe('ok\n');
  });

  test("a result made while the host's programs changed is not one", async () => {
    const action = { arguments: ['sh', '-c', 'sleep 0.2'] };
    const handback = handbackOf(action);
    await new Promise((resolve) => setTimeout(resolve, 100));
    worker.imageName = 'host-ffffffffffff';
    await mkdir(join(worker.folder, 'usr', 'bin'), { recursive: true });
    expect(await handback).toEqual({
      reason: 'programs of this machine were changed while the action ran',
      free: false,
    });

    const pinned = await handbackOf({ arguments: ['true'], platform: { image: 'host-0123456789ab' } });
    expect(pinned.reason).toBe(
      'the action asks for image host-0123456789ab and this machine is host-ffffffffffff by now',
    );
    const image = { name: 'image', value: 'host-ffffffffffff', treatment: 0 };
    await worker.scheduler.until(() =>
      worker.scheduler.worker.properties.some((p) => p.value === image.value),
    );
    expect(worker.scheduler.worker.properties).toContainEqual(image);
  });

  test('what it cannot fetch for want of a store is handed back', async () => {
    worker.store.failure = undefined;
    const digest = storeAction(worker.store, { arguments: ['true', 'unfetched'] });
    worker.store.failure = Object.assign(new Error('not an IngotError'));
    const { outcome } = await worker.commitOfStored(digest);
    worker.store.failure = undefined;
    expect(outcome).toMatchObject({ $case: 'handback', value: { free: false } });
  });

  test('a launcher that is killed takes its actions with it, and the next action runs on another (R04)', async () => {
    const { logger } = worker;
    const handback = handbackOf({ arguments: ['sh', '-c', 'setsid sleep 1000 & echo up; exec sleep 1000'] });
    await expect.poll(() => [...worker.logStreams.written.values()].at(-2), { interval: 20 }).toBe('up\n');
    const pid = await launcherPid();
    process.kill(pid, 'SIGKILL');
    expect(await handback).toEqual({ reason: 'the launcher is gone: it ended with SIGKILL', free: false });
    await worker.scheduler.until(() =>
      worker.scheduler.heartbeats.some((beat) => beat.unhealthyReason !== ''),
    );
    await worker.scheduler.until(() => worker.scheduler.worker.unhealthyReason === '');
    expect(await worker.shell('echo again; ls -d /proc/[0-9]* | wc -l')).toMatch(/^again\n[1-5]\n$/);
    expect(logger.at('error').map(({ message }) => message)).toEqual(['launcher died']);
  });

  test("an impossible argument list is the action's fault", async () => {
    const { status } = await worker.run({ arguments: ['true', 'x'.repeat(200_000)] });
    expect(status).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'start the command: arguments and environment are larger than the system takes',
    });
  });

  /** The launcher is the child of this process that runs its main.ts. */
  async function launcherPid(): Promise<number> {
    const children = await readFile(`/proc/self/task/${process.pid}/children`, 'utf8');
    for (const pid of children.trim().split(' ')) {
      if ((await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes('worker/launcher/main.ts'))
        return Number(pid);
    }
    throw new Error('no launcher');
  }
});

describeStrict('a worker whose toolchain is upgraded under it', () => {
  test('hands back what ran with it and offers it no more', async () => {
    await using worker = await RunningWorker.start({ slots: 1 }, makeToolchain);
    const offered = () => worker.scheduler.worker.properties.find(({ name }) => name === 'toolchain')?.value;
    const toolchain = offered()!;
    const commit = worker.commitOf({
      arguments: ['sh', '-c', 'echo up; sleep 0.3; mytool'],
      platform: { toolchain },
    });
    await expect.poll(() => [...worker.logStreams.written.values()].at(-2), { interval: 20 }).toBe('up\n');
    const tool = join(worker.folder, 'toolchains', 'tool-1', 'bin', 'mytool');
    await writeFile(`${tool}.new`, '#!/bin/sh\necho other\n', { mode: 0o755 });
    await rename(`${tool}.new`, tool);
    expect((await commit).outcome).toEqual({
      $case: 'handback',
      value: { reason: `toolchain ${toolchain} was changed while the action ran`, free: false },
    });
    await worker.scheduler.until(() => offered() === undefined);
  });
});

describe('a worker without a sandbox', () => {
  test('says so, runs plain processes, and leaves the cached blobs alone', async () => {
    await using worker = await RunningWorker.start({ sandbox: 'none', slots: 1 }, makeToolchain);
    expect(worker.logger.at('warn').map(({ message }) => message)).toContain(
      'actions run without a sandbox: they can do what this worker can',
    );
    const { properties } = worker.scheduler.worker;
    expect(properties).toContainEqual({ name: 'sandbox', value: 'none', treatment: 0 });
    const inputs = { f: 'input' };
    const script = 'chmod 644 f; echo changed > f; cat f; echo t > "$TMPDIR/t"; ls "$TMPDIR"';
    expect(await worker.shell(script, { inputs })).toBe('changed\nt\n');
    expect(await worker.shell('cat f', { inputs })).toBe('input');
    const toolchain = properties.find(({ name }) => name === 'toolchain')!.value;
    expect(await worker.shell('mytool', { platform: { toolchain } })).toBe(
      `${join(worker.folder, 'toolchains', 'tool-1')}\n`,
    );
    expect(await worker.shell('nvcc')).toMatch(/\[exit code 127\]$/);
    // Its own doing, and no reason to try it elsewhere.
    expect(await worker.shell('kill -SEGV $$')).toBe('[exit code 139]');
  });
});

describeStrict('a worker with the basic sandbox', () => {
  test('passes its self-test and keeps inputs apart by copies', async () => {
    await using worker = await RunningWorker.start({ sandbox: 'basic', slots: 1 });
    expect(worker.role.probes.every(({ passed }) => passed)).toBe(true);
    const inputs = { f: 'input' };
    expect(await worker.shell('id -u; chmod 644 f; echo changed > f; cat f', { inputs })).toBe(
      '1000\nchanged\n',
    );
    // Copies are as old as links are: no `make` may find one input newer than another.
    expect(await worker.shell('stat -c %Y f', { inputs })).toBe('946684800\n');
    expect(await worker.shell('cat f; ls /root', { inputs })).toMatch(/^inputls: cannot access '\/root'/);
  });
});
