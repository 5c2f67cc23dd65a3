import { mkdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { FarmConnection } from '../../cli/client/farm-connection.ts';
import { ExitCode } from '../../cli/exit-code.ts';
import { isIngotError } from '../../core/error.ts';
import { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { descendantsOf, isRunning } from '../../worker/launcher/process-tree.ts';
import { Cluster } from '../setup/cluster.ts';
import { ClientRun } from '../setup/farm-client.ts';
import { checkInvariants, strayProcesses } from '../setup/farm-invariants.ts';
import { entriesOf, gatedRun, gatedRuns, gatedScript, plainScript } from '../setup/gated-run.ts';
import { waitUntil } from '../setup/wait-until.ts';

const MIB = 1024 * 1024;
const HEARTBEAT_MS = 300;
/** A worker is given up after three and a half missed heartbeats. */
const LEASE_MS = 3.5 * HEARTBEAT_MS;
const WORKER_FLAGS = ['--heartbeat-interval', `${HEARTBEAT_MS}ms`, '--kill-grace', '500ms'];
/** How long nats-server is away: well over a lease; a minute in the long form of the test. */
const NATS_AWAY_MS = process.env.INGOT_TEST_LONG === '1' ? 60_000 : 4 * LEASE_MS;

let cluster: Cluster;
let farm: FarmConnection;

beforeAll(async () => {
  cluster = await Cluster.start({ workers: 2, workerFlags: [...WORKER_FLAGS, '--slots', '2'] });
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
const otherThan = (index: number) => 1 - index;

/** An action of a real `ingot run` that waits at its gate. */
async function startGated(name: string, rest = 'echo $id > out') {
  await mkdir(inClient(name));
  const command = ['sh', '-c', gatedScript(name, `mkdir -p ${name}; ${rest}; cp out ${name}`)];
  const client = cluster.client('run', '--output', `${name}/out`, '--', ...command);
  const run = await gatedRun(cluster, name);
  await client.line('run ');
  return { name, client, run };
}

/** The client has ended well, with the result of the run of that id. */
async function expectResult({ name, client }: Awaited<ReturnType<typeof startGated>>, id: string) {
  const { code, stdout, stderr } = await client.ended;
  expect(code, stderr).toBe(0);
  expect(stdout.trimEnd().split('\n').at(-1)).toBe(`run ${id}`);
  expect(await readFile(inClient(`${name}/out`), 'utf8')).toBe(`${id}\n`);
}

async function statusBecomes(expected: object): Promise<void> {
  await waitUntil(JSON.stringify(expected), async () => {
    expect(await cluster.status()).toMatchObject(expected);
    return true;
  });
}

/** How the leases of an operation ended, by what the workers say. */
function leaseEnds(operationName: string) {
  return cluster.workers
    .flatMap(({ records }) => records)
    .filter(({ message, operation }) => message === 'lease ended' && operation === operationName)
    .map(({ epoch, answer }) => ({ epoch, answer }));
}

/** Waits until a blob is on its way into the cache, and stops the sender in the midst of it. */
async function midUpload(bytesMin: number, sender: { signal(signal: NodeJS.Signals): void }): Promise<void> {
  const incoming = join(cluster.folder, 'cache', 'cache', 'incoming');
  const largest = async () => {
    const sizes = (await entriesOf(incoming)).map(async (name) => {
      const stats = await stat(join(incoming, name)).catch(() => undefined);
      return stats?.size ?? 0;
    });
    return Math.max(0, ...(await Promise.all(sizes)));
  };
  await waitUntil('an upload under way', async () => (await largest()) >= bytesMin, { pollMs: 2 });
  sender.signal('SIGSTOP');
  expect(await largest()).toBeGreaterThanOrEqual(bytesMin);
}

async function hasResult({ action }: ClientRun): Promise<boolean> {
  try {
    await farm.actionCache.getActionResult({
      instanceName: '',
      actionDigest: action.message.actionDigest.toMessage(),
      inlineStdout: false,
      inlineStderr: false,
      inlineOutputFiles: [],
      digestFunction: DigestFunction_Value.SHA256,
    });
    return true;
  } catch (error) {
    if (isIngotError(error, Code.NOT_FOUND)) return false;
    throw error;
  }
}

describe('kill -9 of the scheduler', () => {
  afterEach(async () => {
    await cluster.mend();
    await checkInvariants(cluster);
  });

  it('with 4 running and 50 queued: clients go on waiting, all finish, and nothing runs twice', async () => {
    const running = await Promise.all(['r-1', 'r-2', 'r-3', 'r-4'].map((name) => startGated(name)));
    const queued = Array.from(
      { length: 50 },
      (_, index) => new ClientRun(farm, { script: plainScript(`queued ${index}`) }),
    );
    const expected = { queued: 50, executing: 4 };
    await statusBecomes(expected);
    const namesBefore = queued.map(({ names }) => names);

    await cluster.scheduler.kill();
    await cluster.scheduler.start();
    await cluster.scheduler.logged('took up the journal', { operations: 54 });
    await cluster.allKnown();
    await statusBecomes(expected);

    for (const { run } of running) await run.release();
    for (const gated of running) await expectResult(gated, gated.run.id);
    const ids = await Promise.all(queued.map((client) => client.runId()));
    expect(new Set(ids).size).toBe(50);
    expect(queued.map(({ names }) => names)).toEqual(namesBefore);
    for (const client of queued) {
      expect(client.names).toHaveLength(1);
      expect(client.reconnects.length).toBeGreaterThan(0);
      expect(client.attempts).toEqual([]);
      expect(leaseEnds(client.names[0] ?? '')).toEqual([{ epoch: 1, answer: 'ACCEPTED' }]);
    }
  });

  it('between the action cache and the journal: the client gets the one result that was filed', async () => {
    await cluster.scheduler.kill();
    await cluster.scheduler.start(['--fail', 'commit.after_cache:1']);
    await cluster.allKnown();
    const client = new ClientRun(farm, { script: plainScript('filed and not journalled') });
    expect((await cluster.scheduler.died())?.signal).toBe('SIGKILL');
    await cluster.scheduler.start();
    const id = await client.runId();
    expect(await new ClientRun(farm, { script: plainScript('filed and not journalled') }).runId()).toBe(id);
    await waitUntil('the end of the lease', () => leaseEnds(client.names[0] ?? '').length > 0);
    expect(leaseEnds(client.names[0] ?? '')).toEqual([{ epoch: 1, answer: 'ACCEPTED' }]);
  });

  it('with the loss of its journal: the client executes again, and the forgotten run is ended', async () => {
    const gated = await startGated('forgotten');
    await cluster.scheduler.kill();
    await rm(join(cluster.folder, 'scheduler'), { recursive: true });
    await cluster.scheduler.start();
    const again = await gatedRun(cluster, 'forgotten', gated.run.id);
    await waitUntil('the end of the forgotten run', async () => {
      const runs = await gatedRuns(cluster, 'forgotten');
      return runs.every(({ id }) => id !== gated.run.id);
    });
    await again.release();
    await expectResult(gated, again.id);
    expect((await gated.client.ended).stderr).toContain('the farm no longer knows the operation');
  });
});

describe('a worker', () => {
  afterEach(async () => {
    await cluster.mend();
    await checkInvariants(cluster, { uploadsMayWait: true });
  });

  it('killed with -9 leaves no process, and its action starts elsewhere within the lease and 5 s', async () => {
    const client = new ClientRun(farm, { script: gatedScript('orphaned') });
    const real = await startGated('orphaned too');
    const first = await gatedRun(cluster, 'orphaned');
    const worker = cluster.workers[first.workerIndex]!;
    const below = descendantsOf(worker.pid);
    expect(below.length).toBeGreaterThan(2);

    const killedMs = performance.now();
    await worker.kill();
    const second = await gatedRun(cluster, 'orphaned', first.id);
    expect(performance.now() - killedMs).toBeLessThan(LEASE_MS + 5_000);
    expect(second.workerIndex).toBe(otherThan(first.workerIndex));
    await waitUntil('the processes below it to end', () => below.filter(isRunning).length === 0);

    await second.release();
    expect(await client.runId()).toBe(second.id);
    const workerId = `worker-${first.workerIndex + 1}`;
    expect(client.attempts).toMatchObject([{ workerId, epoch: 1 }]);
    expect(client.attempts[0]?.reason).toMatch(/^the worker was not heard for [0-9.]+ s$/);
    expect(client.names).toHaveLength(1);
    expect(client.reconnects).toEqual([]);

    const moved = real.run.workerIndex === first.workerIndex;
    const run = moved ? await gatedRun(cluster, 'orphaned too', real.run.id) : real.run;
    await run.release();
    await expectResult(real, run.id);
  });

  it('that was stopped for two leases and goes on has its late result refused', async () => {
    const client = new ClientRun(farm, { script: gatedScript('late') });
    const first = await gatedRun(cluster, 'late');
    const worker = cluster.workers[first.workerIndex]!;
    worker.signal('SIGSTOP');
    try {
      // Its launcher and its action go on meanwhile: the result is there when it wakes up.
      await first.release();
      const second = await gatedRun(cluster, 'late', first.id);
      expect(second.workerIndex).toBe(otherThan(first.workerIndex));
      await pause(LEASE_MS);
      worker.signal('SIGCONT');
      const [operation = ''] = client.names;
      await worker.logged('lease ended', { operation, epoch: 1, answer: 'STALE' });
      expect(await hasResult(client)).toBe(false);
      await second.release();
      expect(await client.runId()).toBe(second.id);
      expect(await new ClientRun(farm, { script: gatedScript('late') }).runId()).toBe(second.id);
      expect(client.attempts).toMatchObject([{ workerId: `worker-${first.workerIndex + 1}`, epoch: 1 }]);
    } finally {
      worker.signal('SIGCONT');
    }
  });

  it('killed with -9 while it stores outputs has filed nothing, and its action is run again', async () => {
    const outputs = ['out', 'big'];
    const script = gatedScript('storing', 'echo $id > out; truncate -s 96M big');
    const client = new ClientRun(farm, { script, outputs });
    const first = await gatedRun(cluster, 'storing');
    const worker = cluster.workers[first.workerIndex]!;
    await first.release();
    await midUpload(MIB, worker);
    expect(await hasResult(client)).toBe(false);
    await worker.kill();

    const second = await gatedRun(cluster, 'storing', first.id);
    expect(await hasResult(client)).toBe(false);
    await second.release();
    expect(await client.runId()).toBe(second.id);
    const result = await client.result();
    expect(result.outputFiles.find(({ path }) => path === 'big')?.digest?.sizeBytes).toBe(96 * MIB);
    expect(await hasResult(client)).toBe(true);
  });

  it('whose launcher is killed with -9 starts another, and the action is run again', async () => {
    const client = new ClientRun(farm, { script: gatedScript('launcher') });
    const first = await gatedRun(cluster, 'launcher');
    const worker = cluster.workers[first.workerIndex]!;
    const [launcher = 0, ...below] = descendantsOf(worker.pid);
    process.kill(launcher, 'SIGKILL');
    const second = await gatedRun(cluster, 'launcher', first.id);
    await waitUntil('the processes below it to end', () => below.filter(isRunning).length === 0);
    await second.release();
    expect(await client.runId()).toBe(second.id);
  });
});

describe('kill -9 of nats-server', () => {
  afterEach(async () => {
    await checkInvariants(cluster);
  });

  it('actions are accepted meanwhile, what runs goes on, and all finish once it is back', async () => {
    const running = await Promise.all(['n-1', 'n-2', 'n-3', 'n-4'].map((name) => startGated(name)));
    const specs = Array.from({ length: 12 }, (_, index) => ({ script: plainScript(`nats ${index}`) }));
    const early = specs.slice(0, 6).map((spec) => new ClientRun(farm, spec));
    await statusBecomes({ queued: 6, executing: 4 });
    // Dispatch is under way when the server dies: the first is through its gate, and the next are being offered.
    await running[0]?.run.release();
    await cluster.nats.kill();
    const awaySinceMs = performance.now();

    const late = specs.slice(6).map((spec) => new ClientRun(farm, spec));
    const real = cluster.client('run', '--', 'sh', '-c', plainScript('while nats is away'));
    await waitUntil('the client to hear that it is queued', () => real.stderr.includes('queued\n'));
    for (const client of late) await waitUntil('it to be accepted', () => client.names.length > 0);
    for (const { run } of running.slice(1)) await run.release();
    await pause(Math.max(0, NATS_AWAY_MS - (performance.now() - awaySinceMs)));
    await cluster.nats.start();

    for (const gated of running) await expectResult(gated, gated.run.id);
    const ids = await Promise.all([...early, ...late].map((client) => client.runId()));
    expect(new Set(ids).size).toBe(12);
    expect((await real.ended).code).toBe(0);
    for (const client of [...early, ...late]) {
      expect(client.names).toHaveLength(1);
      expect(client.reconnects).toEqual([]);
      expect(client.attempts).toEqual([]);
    }
  });
});

describe('kill -9 of the cache', () => {
  afterEach(async () => {
    await cluster.mend();
    await checkInvariants(cluster);
  });

  it('while inputs are uploaded: the client begins again, and what was acknowledged is there', async () => {
    await writeFile(inClient('early'), 'acknowledged before\n');
    const [digest = ''] = (await cluster.ingot('upload', 'early')).stdout.split(' ');
    await writeFile(inClient('large'), 'first bytes');
    await truncate(inClient('large'), 160 * MIB);
    const client = cluster.client(
      'run',
      '--input',
      'large',
      '--',
      'sh',
      '-c',
      'stat -c %s large; head -c 11 large',
    );
    await midUpload(MIB, cluster.cache);
    await cluster.cache.kill();
    await cluster.cache.start();
    const { code, stdout, stderr } = await client.ended;
    expect(code, stderr).toBe(0);
    expect(stdout).toBe(`${160 * MIB}\nfirst bytes`);
    expect(await cluster.ingot('download', digest, 'early-back')).toMatchObject({ code: 0 });
    expect(await readFile(inClient('early-back'), 'utf8')).toBe('acknowledged before\n');
  });

  it('while an action runs and ends: its result is stored when the cache is back', async () => {
    const gated = await startGated('cacheless');
    await cluster.cache.kill();
    await gated.run.release();
    await waitUntil('the action to end', async () => {
      const sandboxed = await strayProcesses(cluster);
      return sandboxed.every((line) => !line.includes('bwrap'));
    });
    await cluster.cache.start();
    await expectResult(gated, gated.run.id);
  });

  it.each(['ac.before_put', 'ac.after_put'])('at %s: the result is filed when it is back', async (point) => {
    await cluster.cache.kill();
    await cluster.cache.start(['--fail', `${point}:1`]);
    const spec = { script: plainScript(`killed at ${point}`) };
    const client = new ClientRun(farm, spec);
    expect((await cluster.cache.died())?.signal).toBe('SIGKILL');
    await cluster.cache.start();
    const id = await client.runId();
    expect(await new ClientRun(farm, spec).runId()).toBe(id);
    expect(client.attempts).toEqual([]);
  });
});

describe('an action that kills its worker', () => {
  it('fails with its history after three attempts, and harms nobody else', async () => {
    await using none = await Cluster.start({
      workers: 2,
      workerFlags: [...WORKER_FLAGS, '--slots', '1', '--sandbox', 'none'],
    });
    await using client = none.connect();
    const innocent = new ClientRun(client, { script: gatedScript('innocent') });
    const run = await gatedRun(none, 'innocent');
    const victim = none.workers[otherThan(run.workerIndex)]!;

    // The launcher's parent is the worker; the look at its command line keeps any other process safe.
    const script = [
      'worker=$(sed -n "s/^PPid:[[:space:]]*//p" /proc/$PPID/status)',
      `grep -q ${none.folder} /proc/$worker/cmdline && kill -9 $worker`,
      'sleep 60',
    ].join('\n');
    const poison = none.client('run', '--', 'sh', '-c', script);
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      expect((await victim.died())?.signal).toBe('SIGKILL');
      await victim.start();
    }
    const { code, stderr } = await poison.ended;
    expect(code).toBe(ExitCode.INTERNAL);
    const id = `worker-${otherThan(run.workerIndex) + 1}`;
    expect(stderr).toMatch(
      new RegExp(
        `the action failed on its workers 3 times \\(1\\. ${id}: .*; 2\\. ${id}: .*; 3\\. ${id}: .*\\)`,
      ),
    );

    expect(await new ClientRun(client, { script: plainScript('after the poison') }).runId()).toBeDefined();
    await run.release();
    expect(await innocent.runId()).toBe(run.id);
    expect(innocent.attempts).toEqual([]);
    expect(await strayProcesses(none)).toEqual([]);
  });
});
