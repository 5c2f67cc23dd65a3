import { lstat, mkdir, readFile, readlink, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { FarmConnection } from '../../cli/client/farm-connection.ts';
import { ExitCode } from '../../cli/exit-code.ts';
import { Cluster } from '../setup/cluster.ts';
import { ClientRun } from '../setup/farm-client.ts';
import { atRest, checkInvariants } from '../setup/farm-invariants.ts';
import { gatedRun, gatedRuns, gatedScript, plainScript } from '../setup/gated-run.ts';
import { waitUntil } from '../setup/wait-until.ts';

const RUN_LINE = /^run ([0-9a-f-]{36})$/m;
/** Prints an id of its own at each run. */
const PRINT_RUN = 'echo run $(cat /proc/sys/kernel/random/uuid)';

let cluster: Cluster;
let farm: FarmConnection;

beforeAll(async () => {
  cluster = await Cluster.start({
    workers: 2,
    workerFlags: ['--heartbeat-interval', '300ms', '--slots', '2', '--kill-grace', '500ms'],
  });
  farm = cluster.connect();
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(cluster.logs);
});
afterAll(async () => {
  await farm?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

const inClient = (path: string) => join(cluster.clientFolder, path);

/** The name `ingot status` gives of the one operation that is executing. */
async function executingOperation(): Promise<string> {
  return await waitUntil('an operation to execute', async () => {
    const { operations } = JSON.parse((await cluster.ingot('--json', 'status')).stdout);
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
      const { code, stdout, stderr } = await cluster.ingot('--json', 'run', '--input', 'source', ...made);
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
    const ended = await cluster.ingot('run', '--input', 'in', ...outputs, '--', 'sh', '-c', script);
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
    const run = () => cluster.ingot('run', '--', 'sh', '-c', `${PRINT_RUN}; echo problem >&2; exit 42`);
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
    const client = cluster.client('run', '--', 'sh', '-c', script);
    const run = await gatedRun(cluster, 'live');
    expect(await client.line('run ')).toBe(`run ${run.id}`);

    const name = await executingOperation();
    const follower = cluster.client('logs', '-f', name);
    expect(await follower.line('run ')).toBe(`run ${run.id}`);
    const sofar = await cluster.ingot('logs', name);
    expect(sofar).toMatchObject({ code: 0, stdout: `run ${run.id}\n` });
    expect(await gatedRuns(cluster, 'live')).toHaveLength(1);

    await run.release();
    const whole = `run ${run.id}\nlet through by go\n`;
    for (const { ended } of [client, follower]) {
      const { code, stdout, stderr } = await ended;
      expect(code, stderr).toBe(0);
      expect(stdout).toBe(whole);
      expect(stderr).toContain('to stderr\n');
    }
    expect((await cluster.ingot('logs', name)).stdout).toBe(whole);
  });

  it('is told when its action is cancelled, and nothing of the action stays', async () => {
    const client = cluster.client('run', '--', 'sh', '-c', gatedScript('cancelled'));
    const { id } = await gatedRun(cluster, 'cancelled');
    await client.line('run ');
    const name = await executingOperation();
    expect(await cluster.ingot('cancel', name)).toMatchObject({
      code: 0,
      stdout: `asked to cancel ${name}\n`,
    });
    const { code, stdout, stderr } = await client.ended;
    expect(code, stderr).toBe(ExitCode.INTERRUPTED);
    expect(stdout).toBe(`run ${id}\n`);
    expect(stderr).toContain('cancel');
    await atRest(cluster);
  });

  it('cancels its action when it is interrupted itself', async () => {
    const client = cluster.client('run', '--', 'sh', '-c', gatedScript('interrupted'));
    await gatedRun(cluster, 'interrupted');
    const { code, stderr } = await client.stop('SIGINT');
    expect(code, stderr).toBe(ExitCode.INTERRUPTED);
    expect(stderr).toMatch(/cancelled operation operations\//);
    await atRest(cluster);
  });

  it('is told of a timeout with the output so far, and the next one runs it again', async () => {
    const run = () =>
      cluster.ingot('run', '--timeout', '700ms', '--', 'sh', '-c', `${PRINT_RUN}; sleep 60 & sleep 60`);
    const [first, second] = [await run(), await run()];
    for (const { code, stdout, stderr, ms } of [first, second]) {
      expect(code, stderr).toBe(ExitCode.TIMEOUT);
      expect(stdout).toMatch(RUN_LINE);
      expect(stderr).toContain('the command did not end within its timeout of 700 ms');
      expect(ms).toBeLessThan(20_000);
    }
    expect(second.stdout).not.toBe(first.stdout);
    await atRest(cluster);
  });

  it('stores, lists and fetches by the same endpoint', async () => {
    await mkdir(inClient('data/sub'), { recursive: true });
    await writeFile(inClient('data/big.bin'), Buffer.alloc(9_000_000, 'ingot'));
    await writeFile(inClient('data/sub/small.txt'), 'small\n');
    const uploaded = await cluster.ingot('upload', 'data', 'data/sub/small.txt');
    expect(uploaded.code, uploaded.stderr).toBe(0);
    const [directory = '', file = ''] = uploaded.stdout.split('\n').map((line) => line.split(' ')[0]);

    const listed = await cluster.ingot('ls', '-r', directory);
    expect(listed.code, listed.stderr).toBe(0);
    expect(listed.stdout).toContain('big.bin');
    expect(listed.stdout).toContain('small.txt');

    expect((await cluster.ingot('download', file, 'small-back')).code).toBe(0);
    expect(await readFile(inClient('small-back'), 'utf8')).toBe('small\n');
    expect((await cluster.ingot('download', '--directory', directory, 'data-back')).code).toBe(0);
    const [original, back] = await Promise.all([
      readFile(inClient('data/big.bin')),
      readFile(inClient('data-back/big.bin')),
    ]);
    expect(back.equals(original)).toBe(true);

    const absent = `${'0'.repeat(64)}/5`;
    expect((await cluster.ingot('download', absent, 'nothing')).code).toBe(ExitCode.NOT_FOUND);
    await expect(stat(inClient('nothing'))).rejects.toThrow('ENOENT');
  });

  it('sees the farm with both workers', async () => {
    const { code, stdout } = await cluster.ingot('--json', 'status');
    expect(code).toBe(0);
    const status = JSON.parse(stdout);
    expect(status.bus).toBe(`NATS at 127.0.0.1:${cluster.nats.port}`);
    expect(status.workers).toMatchObject([
      { id: 'worker-1', draining: false, unhealthyReason: '', capacity: { slots: 2 }, operations: [] },
      { id: 'worker-2', draining: false, unhealthyReason: '', capacity: { slots: 2 }, operations: [] },
    ]);
  });

  it('is told at once which property no worker has', async () => {
    const run = (property: string) => cluster.ingot('run', '--platform', property, '--', 'true');
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
    const clients = names.map((name) => new ClientRun(farm, { script: gatedScript(name) }));
    const runs = await Promise.all(names.map((name) => gatedRun(cluster, name)));
    // All four are at their gates together: both workers have both of their slots taken.
    expect(runs.map(({ workerIndex }) => workerIndex).sort()).toEqual([0, 0, 1, 1]);
    for (const run of runs) await run.release();
    for (const [index, client] of clients.entries()) expect(await client.runId()).toBe(runs[index]?.id);
  });

  it('runs an action once for 50 clients that ask at the same time', async () => {
    const before = await cluster.status();
    const spec = { script: gatedScript('shared') };
    const connections = Array.from({ length: 5 }, () => cluster.connect());
    const clients = Array.from({ length: 50 }, (_, index) => new ClientRun(connections[index % 5]!, spec));
    try {
      const run = await gatedRun(cluster, 'shared');
      await waitUntil('49 to join', async () => (await cluster.status()).joined - before.joined === 49);
      expect(await gatedRuns(cluster, 'shared')).toHaveLength(1);
      await run.release();
      const ids = await Promise.all(clients.map((client) => client.runId()));
      expect(new Set(ids)).toEqual(new Set([run.id]));
      expect(new Set(clients.flatMap(({ names }) => names)).size).toBe(1);
      expect((await cluster.status()).completed - before.completed).toBe(1);
    } finally {
      for (const connection of connections) await connection[Symbol.asyncDispose]();
    }
  });

  it('runs an action that must not be cached for each client', async () => {
    const spec = { script: plainScript('uncached'), doNotCache: true };
    const together = await Promise.all([
      new ClientRun(farm, spec).runId(),
      new ClientRun(farm, spec).runId(),
    ]);
    const later = await new ClientRun(farm, spec).runId();
    expect(new Set([...together, later]).size).toBe(3);
  });
});

/** A part is told to stop while an action of a waiting client runs. */
describe('a part that gets SIGTERM', () => {
  const runGated = async (name: string) => {
    const script = gatedScript(name);
    const client = cluster.client(
      'run',
      '--output',
      `${name}/out`,
      '--',
      'sh',
      '-c',
      `${script} && cp out ${name}`,
    );
    const run = await gatedRun(cluster, name);
    await client.line('run ');
    return { client, run };
  };
  type Gated = Awaited<ReturnType<typeof runGated>>;
  const expectResult = async (name: string, { client }: Gated, id: string) => {
    const { code, stdout, stderr } = await client.ended;
    expect(code, stderr).toBe(0);
    expect(stdout.trimEnd().split('\n').at(-1)).toBe(`run ${id}`);
    expect(await readFile(inClient(`${name}/out`), 'utf8')).toBe(`${id}\n`);
  };

  afterEach(() => cluster.mend());

  it('as a worker takes nothing new, finishes what it runs, and ends with 0', async () => {
    const gated = await runGated('drained');
    const worker = cluster.workers[gated.run.workerIndex]!;
    const stopped = worker.stop();
    await waitUntil('the farm to know that it drains', async () => {
      const { workers } = await cluster.status();
      return workers.find(({ workerId }) => workerId === `worker-${gated.run.workerIndex + 1}`)?.draining;
    });
    const others = ['other-1', 'other-2'].map((name) => new ClientRun(farm, { script: gatedScript(name) }));
    const otherRuns = await Promise.all(['other-1', 'other-2'].map((name) => gatedRun(cluster, name)));
    expect(otherRuns.map(({ workerIndex }) => workerIndex)).not.toContain(gated.run.workerIndex);

    await gated.run.release();
    await expectResult('drained', gated, gated.run.id);
    expect(await stopped).toMatchObject({ code: 0, signal: null });
    for (const run of otherRuns) await run.release();
    for (const [index, other] of others.entries()) expect(await other.runId()).toBe(otherRuns[index]?.id);
  });

  it('as a worker that may not wait hands its action back, and another runs it', async () => {
    for (const worker of cluster.workers) {
      await worker.stop();
      await worker.start(['--drain-grace', '200ms']);
    }
    await cluster.allKnown();
    const gated = await runGated('handed-back');
    const stopped = cluster.workers[gated.run.workerIndex]!.stop();
    const second = await gatedRun(cluster, 'handed-back', gated.run.id);
    expect(second.workerIndex).not.toBe(gated.run.workerIndex);
    expect(await stopped).toMatchObject({ code: 0, signal: null });
    await second.release();
    await expectResult('handed-back', gated, second.id);
  });

  it('as the scheduler ends with 0, and its clients find their action when it is back', async () => {
    const gated = await runGated('through-scheduler');
    expect(await cluster.scheduler.stop()).toMatchObject({ code: 0, signal: null });
    await cluster.scheduler.start();
    await gated.run.release();
    await expectResult('through-scheduler', gated, gated.run.id);
  });

  it('as the cache ends with 0, and results are stored when it is back', async () => {
    const gated = await runGated('through-cache');
    expect(await cluster.cache.stop()).toMatchObject({ code: 0, signal: null });
    await gated.run.release();
    await cluster.cache.start();
    await expectResult('through-cache', gated, gated.run.id);
  });

  it('as nats-server is waited for', async () => {
    const gated = await runGated('through-nats');
    await cluster.nats.stop();
    await gated.run.release();
    await cluster.nats.start();
    await expectResult('through-nats', gated, gated.run.id);
  });
});

it('leaves nothing but whole blobs and complete results', async () => {
  await checkInvariants(cluster);
});
