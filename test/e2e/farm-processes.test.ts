import { lstat, mkdir, readFile, readlink, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../cli/exit-code.ts';
import type { RolePart } from '../setup/cluster.ts';
import { ClientRun } from '../setup/farm-client.ts';
import { expectResult, startGatedClient } from '../setup/gated-client.ts';
import { gatedRun, gatedRuns, gatedScript, plainScript } from '../setup/gated-run.ts';
import { sharedCluster } from '../setup/shared-cluster.ts';
import { waitUntil } from '../setup/wait-until.ts';

const RUN_LINE = /^run ([0-9a-f-]{36})$/m;
/** No time for a part that waits for nothing, and much less than the grace it would have for calls that run. */
const PROMPT_MS = 6_000;
/** Prints an id of its own at each run. */
const PRINT_RUN = 'echo run $(cat /proc/sys/kernel/random/uuid)';

const shared = sharedCluster({
  workers: 2,
  workerFlags: ['--heartbeat-interval', '300ms', '--slots', '2', '--kill-grace', '500ms'],
});
const inClient = (path: string) => join(shared.cluster.clientFolder, path);

/** The name `ingot status` gives of the one operation that is executing. */
async function executingOperation(): Promise<string> {
  return await waitUntil('an operation to execute', async () => {
    const { operations } = JSON.parse((await shared.cluster.ingot('--json', 'status')).stdout);
    return operations.find(({ stage }: { stage: string }) => stage === 'executing')?.name as string;
  });
}

describe('a client of a farm of separate processes', () => {
  it('runs a command on inputs, and has the answer from the cache until they change', async () => {
    await mkdir(inClient('source'));
    await writeFile(inClient('source/a.txt'), 'alpha\n');
    await writeFile(inClient('source/b.txt'), 'beta\n');
    const run = async () => {
      const made = ['--output', 'build/all.txt', '--', 'sh', '-c', 'cat source/* > build/all.txt'];
      const { code, stdout, stderr } = await shared.cluster.ingot(
        '--json',
        'run',
        '--input',
        'source',
        ...made,
      );
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout);
    };

    expect(await run()).toMatchObject({ outcome: 'ran', exitCode: 0 });
    expect(await readFile(inClient('build/all.txt'), 'utf8')).toBe('alpha\nbeta\n');

    await rm(inClient('build'), { recursive: true });
    expect(await run()).toMatchObject({ outcome: 'hit', exitCode: 0 });
    expect(await readFile(inClient('build/all.txt'), 'utf8')).toBe('alpha\nbeta\n');

    await utimes(inClient('source/a.txt'), new Date(), new Date());
    expect(await run()).toMatchObject({ outcome: 'hit' });

    await writeFile(inClient('source/a.txt'), 'Alpha\n');
    expect(await run()).toMatchObject({ outcome: 'ran' });
    expect(await readFile(inClient('build/all.txt'), 'utf8')).toBe('Alpha\nbeta\n');
  });

  it('gets files, directories and symlinks back as they were made', async () => {
    await mkdir(inClient('in/deep'), { recursive: true });
    await writeFile(inClient('in/deep/tool'), '#!/bin/sh\necho from the tool\n', { mode: 0o755 });
    await symlink('deep/tool', inClient('in/link'));
    const script = [
      'in/link > plain',
      'printf "#!/bin/sh\\nexit 7\\n" > program && chmod +x program',
      'mkdir -p tree/empty tree/sub && echo x > tree/sub/x && ln -s sub/x tree/to-x && ln -s nowhere tree/dangling',
      'ln -s plain to-plain',
    ].join(' && ');
    const outputs = ['plain', 'program', 'tree', 'to-plain'].flatMap((path) => ['--output', path]);
    const ended = await shared.cluster.ingot('run', '--input', 'in', ...outputs, '--', 'sh', '-c', script);
    expect(ended.code, ended.stderr).toBe(0);

    expect(await readFile(inClient('plain'), 'utf8')).toBe('from the tool\n');
    expect((await stat(inClient('plain'))).mode & 0o111).toBe(0);
    expect((await stat(inClient('program'))).mode & 0o111).toBe(0o111);
    expect((await lstat(inClient('tree/empty'))).isDirectory()).toBe(true);
    expect(await readFile(inClient('tree/sub/x'), 'utf8')).toBe('x\n');
    expect(await readlink(inClient('tree/to-x'))).toBe('sub/x');
    expect(await readlink(inClient('tree/dangling'))).toBe('nowhere');
    expect(await readlink(inClient('to-plain'))).toBe('plain');
  });

  it('ends with the exit code of the command and its output, and a failure is not kept', async () => {
    const run = () =>
      shared.cluster.ingot('run', '--', 'sh', '-c', `${PRINT_RUN}; echo problem >&2; exit 42`);
    const first = await run();
    expect(first.code).toBe(42);
    expect(first.stderr).toContain('problem\n');
    const [, firstId] = RUN_LINE.exec(first.stdout) ?? [];
    expect(firstId).toBeDefined();
    const second = await run();
    expect(second.code).toBe(42);
    expect(second.stdout).toMatch(RUN_LINE);
    expect(second.stdout).not.toContain(firstId);
  });

  it('sees output while the command runs, and so does another with its name', async () => {
    const script = gatedScript('live', 'echo "let through by $go"; echo to stderr >&2');
    const client = shared.cluster.client('run', '--', 'sh', '-c', script);
    const run = await gatedRun(shared.cluster, 'live');
    expect(await client.line('run ')).toBe(`run ${run.id}`);

    const name = await executingOperation();
    const follower = shared.cluster.client('logs', '-f', name);
    expect(await follower.line('run ')).toBe(`run ${run.id}`);
    const sofar = await shared.cluster.ingot('logs', name);
    expect(sofar).toMatchObject({ code: 0, stdout: `run ${run.id}\n` });
    expect(await gatedRuns(shared.cluster, 'live')).toHaveLength(1);

    await run.release();
    const whole = `run ${run.id}\nlet through by go\n`;
    for (const { ended } of [client, follower]) {
      const { code, stdout, stderr } = await ended;
      expect(code, stderr).toBe(0);
      expect(stdout).toBe(whole);
      expect(stderr).toContain('to stderr\n');
    }
    expect((await shared.cluster.ingot('logs', name)).stdout).toBe(whole);
  });

  it('is told when its action is cancelled, and nothing of the action stays', async () => {
    const client = shared.cluster.client('run', '--', 'sh', '-c', gatedScript('cancelled'));
    const { id } = await gatedRun(shared.cluster, 'cancelled');
    await client.line('run ');
    const name = await executingOperation();
    expect(await shared.cluster.ingot('cancel', name)).toMatchObject({
      code: 0,
      stdout: `asked to cancel ${name}\n`,
    });
    const { code, stdout, stderr } = await client.ended;
    expect(code, stderr).toBe(ExitCode.INTERRUPTED);
    expect(stdout).toBe(`run ${id}\n`);
    expect(stderr).toContain('cancel');
  });

  it('cancels its action when it is interrupted itself', async () => {
    const client = shared.cluster.client('run', '--', 'sh', '-c', gatedScript('interrupted'));
    await gatedRun(shared.cluster, 'interrupted');
    const { code, stderr } = await client.stop('SIGINT');
    expect(code, stderr).toBe(ExitCode.INTERRUPTED);
    expect(stderr).toMatch(/cancelled operation operations\//);
  });

  it('is told of a timeout with the output so far, and the next one runs it again', async () => {
    const run = () =>
      shared.cluster.ingot(
        'run',
        '--timeout',
        '700ms',
        '--',
        'sh',
        '-c',
        `${PRINT_RUN}; sleep 60 & sleep 60`,
      );
    const [first, second] = [await run(), await run()];
    for (const { code, stdout, stderr, ms } of [first, second]) {
      expect(code, stderr).toBe(ExitCode.TIMEOUT);
      expect(stdout).toMatch(RUN_LINE);
      expect(stderr).toContain('the command did not end within its timeout of 700 ms');
      expect(ms).toBeLessThan(20_000);
    }
    expect(second.stdout).not.toBe(first.stdout);
  });

  it('stores, lists and fetches by the same endpoint', async () => {
    await mkdir(inClient('data/sub'), { recursive: true });
    await writeFile(inClient('data/big.bin'), Buffer.alloc(9_000_000, 'ingot'));
    await writeFile(inClient('data/sub/small.txt'), 'small\n');
    const uploaded = await shared.cluster.ingot('upload', 'data', 'data/sub/small.txt');
    expect(uploaded.code, uploaded.stderr).toBe(0);
    const [directory = '', file = ''] = uploaded.stdout.split('\n').map((line) => line.split(' ')[0]);

    const listed = await shared.cluster.ingot('ls', '-r', directory);
    expect(listed.code, listed.stderr).toBe(0);
    expect(listed.stdout).toContain('big.bin');
    expect(listed.stdout).toContain('small.txt');

    expect((await shared.cluster.ingot('download', file, 'small-back')).code).toBe(0);
    expect(await readFile(inClient('small-back'), 'utf8')).toBe('small\n');
    expect((await shared.cluster.ingot('download', '--directory', directory, 'data-back')).code).toBe(0);
    const [original, back] = await Promise.all([
      readFile(inClient('data/big.bin')),
      readFile(inClient('data-back/big.bin')),
    ]);
    expect(back.equals(original)).toBe(true);

    const absent = `${'0'.repeat(64)}/5`;
    expect((await shared.cluster.ingot('download', absent, 'nothing')).code).toBe(ExitCode.NOT_FOUND);
    await expect(stat(inClient('nothing'))).rejects.toThrow('ENOENT');
  });

  it('sees the farm with both workers', async () => {
    const { code, stdout } = await shared.cluster.ingot('--json', 'status');
    expect(code).toBe(0);
    const status = JSON.parse(stdout);
    expect(status.bus).toBe(`NATS at 127.0.0.1:${shared.cluster.nats.port}`);
    expect(status.workers).toMatchObject([
      { id: 'worker-1', draining: false, unhealthyReason: '', capacity: { slots: 2 }, operations: [] },
      { id: 'worker-2', draining: false, unhealthyReason: '', capacity: { slots: 2 }, operations: [] },
    ]);
  });

  it('is told at once which property no worker has', async () => {
    const run = (property: string) => shared.cluster.ingot('run', '--platform', property, '--', 'true');
    const { code, stderr, ms } = await run('OSFamily=Plan9');
    expect(code).toBe(ExitCode.SETUP);
    expect(stderr).toMatch(/OSFamily.*Plan9/);
    expect(stderr).toMatch(/worker-[12]/);
    // The wait for a worker to come, when the farm has had none of the kind, is a minute.
    expect(ms).toBeLessThan(20_000);
    const gpu = await run('gpu.arch=sm_90');
    expect(gpu.code).toBe(ExitCode.SETUP);
    expect(gpu.stderr).toContain('gpu.arch');
  });
});

describe('the scheduler of a farm of separate processes', () => {
  it('spreads actions over the workers', async () => {
    const names = ['spread-1', 'spread-2', 'spread-3', 'spread-4'];
    const clients = names.map((name) => new ClientRun(shared.farm, { script: gatedScript(name) }));
    const runs = await Promise.all(names.map((name) => gatedRun(shared.cluster, name)));
    // All four are at their gates together: both workers have both of their slots taken.
    expect(runs.map(({ workerIndex }) => workerIndex).sort()).toEqual([0, 0, 1, 1]);
    for (const run of runs) await run.release();
    for (const [index, client] of clients.entries()) expect(await client.runId()).toBe(runs[index]?.id);
  });

  it('runs an action once for 50 clients that ask at the same time', async () => {
    const before = await shared.cluster.status();
    const spec = { script: gatedScript('shared') };
    const connections = Array.from({ length: 5 }, () => shared.cluster.connect());
    const clients = Array.from({ length: 50 }, (_, index) => new ClientRun(connections[index % 5]!, spec));
    try {
      const run = await gatedRun(shared.cluster, 'shared');
      await waitUntil(
        '49 to join',
        async () => (await shared.cluster.status()).joined - before.joined === 49,
      );
      expect(await gatedRuns(shared.cluster, 'shared')).toHaveLength(1);
      await run.release();
      const ids = await Promise.all(clients.map((client) => client.runId()));
      expect(new Set(ids)).toEqual(new Set([run.id]));
      expect(new Set(clients.flatMap(({ names }) => names)).size).toBe(1);
      expect((await shared.cluster.status()).completed - before.completed).toBe(1);
    } finally {
      for (const connection of connections) await connection[Symbol.asyncDispose]();
    }
  });

  it('runs an action that must not be cached for each client', async () => {
    const spec = { script: plainScript('uncached'), doNotCache: true };
    const together = await Promise.all([
      new ClientRun(shared.farm, spec).runId(),
      new ClientRun(shared.farm, spec).runId(),
    ]);
    const later = await new ClientRun(shared.farm, spec).runId();
    expect(new Set([...together, later]).size).toBe(3);
  });
});

/** A part is told to stop while an action of a waiting client runs. */
describe('a part that gets SIGTERM', () => {
  /** Its end must not wait for that of the action: how long it took. */
  const stop = async (part: RolePart) => {
    const startMs = performance.now();
    expect(await part.stop()).toMatchObject({ code: 0, signal: null });
    return performance.now() - startMs;
  };
  it('as a worker takes nothing new, finishes what it runs, and ends with 0', async () => {
    const gated = await startGatedClient(shared.cluster, 'drained');
    const worker = shared.cluster.workers[gated.run.workerIndex]!;
    const stopped = worker.stop();
    await waitUntil('the farm to know that it drains', async () => {
      const { workers } = await shared.cluster.status();
      return workers.find(({ workerId }) => workerId === `worker-${gated.run.workerIndex + 1}`)?.draining;
    });
    const others = ['other-1', 'other-2'].map(
      (name) => new ClientRun(shared.farm, { script: gatedScript(name) }),
    );
    const otherRuns = await Promise.all(['other-1', 'other-2'].map((name) => gatedRun(shared.cluster, name)));
    expect(otherRuns.map(({ workerIndex }) => workerIndex)).not.toContain(gated.run.workerIndex);

    await gated.run.release();
    await expectResult(shared.cluster, gated, gated.run.id);
    expect(await stopped).toMatchObject({ code: 0, signal: null });
    for (const run of otherRuns) await run.release();
    for (const [index, other] of others.entries()) expect(await other.runId()).toBe(otherRuns[index]?.id);
  });

  it('as a worker that may not wait hands its action back, and another runs it', async () => {
    const worker = shared.cluster.workers[1]!;
    await worker.stop();
    await worker.start(['--drain-grace', '100ms']);
    const platform = [{ name: 'part', value: 'worker-1' }];
    const names = ['filler-1', 'filler-2'];
    const fillers = names.map((name) => new ClientRun(shared.farm, { script: gatedScript(name), platform }));
    const [first, last] = await Promise.all(names.map((name) => gatedRun(shared.cluster, name)));

    const gated = await startGatedClient(shared.cluster, 'handed-back');
    expect(gated.run.workerIndex).toBe(1);
    expect(await worker.stop()).toMatchObject({ code: 0, signal: null });
    await first!.release();
    const second = await gatedRun(shared.cluster, 'handed-back', gated.run.id);
    expect(second.workerIndex).toBe(0);
    await second.release();
    await expectResult(shared.cluster, gated, second.id);
    await last!.release();
    for (const filler of fillers) await filler.runId();
  });

  it('as the scheduler ends with 0, and its clients find their action when it is back', async () => {
    const gated = await startGatedClient(shared.cluster, 'through-scheduler');
    expect(await stop(shared.cluster.scheduler)).toBeLessThan(PROMPT_MS);
    await shared.cluster.scheduler.start();
    await gated.run.release();
    await expectResult(shared.cluster, gated, gated.run.id);
  });

  it('as the cache ends with 0, and results are stored when it is back', async () => {
    const gated = await startGatedClient(shared.cluster, 'through-cache');
    expect(await stop(shared.cluster.cache)).toBeLessThan(PROMPT_MS);
    await gated.run.release();
    await shared.cluster.cache.start();
    await expectResult(shared.cluster, gated, gated.run.id);
  });

  it('as nats-server is waited for', async () => {
    const gated = await startGatedClient(shared.cluster, 'through-nats');
    await shared.cluster.nats.stop();
    await gated.run.release();
    await shared.cluster.nats.start();
    await expectResult(shared.cluster, gated, gated.run.id);
  });
});
