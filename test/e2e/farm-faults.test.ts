import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../cli/exit-code.ts';
import { descendantsOf, isRunning } from '../../worker/launcher/process-tree.ts';
import { Cluster } from '../setup/cluster.ts';
import { ClientRun } from '../setup/farm-client.ts';
import { checkInvariants } from '../setup/farm-invariants.ts';
import { expectResult, startGatedClient } from '../setup/gated-client.ts';
import { gatedRun, gatedRuns, gatedScript, plainScript } from '../setup/gated-run.ts';
import { midUpload } from '../setup/mid-write.ts';
import { sharedCluster } from '../setup/shared-cluster.ts';
import { waitUntil } from '../setup/wait-until.ts';

const MIB = 1024 * 1024;
const HEARTBEAT_MS = 300;
/** A worker is given up after three and a half missed heartbeats. */
const LEASE_MS = 3.5 * HEARTBEAT_MS;
const WORKER_FLAGS = ['--heartbeat-interval', `${HEARTBEAT_MS}ms`, '--kill-grace', '500ms'];
/** How long nats-server is away: well over a lease; a minute in the long form of the test. */
const NATS_AWAY_MS = process.env.INGOT_TEST_LONG === '1' ? 60_000 : 4 * LEASE_MS;

const shared = sharedCluster({ workers: 2, workerFlags: [...WORKER_FLAGS, '--slots', '2'] });
const otherThan = (index: number) => 1 - index;

async function statusBecomes(expected: object): Promise<void> {
  await waitUntil(JSON.stringify(expected), async () => {
    expect(await shared.cluster.status()).toMatchObject(expected);
    return true;
  });
}

/** How the leases of an operation ended, by what the workers say; waits for the first that says something. */
function leaseEnds(operationName = '') {
  return waitUntil('the end of a lease', () => {
    const ends = shared.cluster.workers
      .flatMap(({ records }) => records)
      .filter(({ message, operation }) => message === 'lease ended' && operation === operationName)
      .map(({ epoch, answer }) => ({ epoch, answer }));
    return ends.length > 0 && ends;
  });
}

describe('kill -9 of the scheduler', () => {
  it('with 4 running and 50 queued: clients go on waiting, all finish, and nothing runs twice', async () => {
    const running = await Promise.all(
      ['r-1', 'r-2', 'r-3', 'r-4'].map((name) => startGatedClient(shared.cluster, name)),
    );
    const queued = Array.from(
      { length: 50 },
      (_, index) => new ClientRun(shared.farm, { script: plainScript(`queued ${index}`) }),
    );
    const expected = { queued: 50, executing: 4 };
    await statusBecomes(expected);
    await waitUntil('all to know their operation', () => queued.every(({ names }) => names.length === 1));
    const namesBefore = queued.map(({ names }) => names);

    await shared.cluster.scheduler.kill();
    await shared.cluster.scheduler.start();
    await shared.cluster.allKnown();
    await statusBecomes(expected);

    for (const { run } of running) await run.release();
    for (const gated of running) await expectResult(shared.cluster, gated, gated.run.id);
    const ids = await Promise.all(queued.map((client) => client.runId()));
    expect(new Set(ids).size).toBe(50);
    expect(queued.map(({ names }) => names)).toEqual(namesBefore);
    for (const client of queued) {
      expect(client.names).toHaveLength(1);
      expect(client.reconnects.length).toBeGreaterThan(0);
      expect(client.attempts).toEqual([]);
      expect(await leaseEnds(client.names[0])).toEqual([{ epoch: 1, answer: 'ACCEPTED' }]);
    }
  });

  it('between the action cache and the journal: the client gets the one result that was filed', async () => {
    await shared.cluster.scheduler.kill();
    await shared.cluster.scheduler.start(['--fail', 'commit.after_cache:1']);
    await shared.cluster.allKnown();
    const client = new ClientRun(shared.farm, { script: plainScript('filed and not journalled') });
    expect((await shared.cluster.scheduler.died())?.signal).toBe('SIGKILL');
    await shared.cluster.scheduler.start();
    const id = await client.runId();
    expect(
      await new ClientRun(shared.farm, { script: plainScript('filed and not journalled') }).runId(),
    ).toBe(id);
    expect(await leaseEnds(client.names[0])).toEqual([{ epoch: 1, answer: 'ACCEPTED' }]);
  });

  it('with the loss of its journal: the client executes again, and the forgotten run is ended', async () => {
    const gated = await startGatedClient(shared.cluster, 'forgotten');
    await shared.cluster.scheduler.kill();
    await rm(join(shared.cluster.folder, 'scheduler'), { recursive: true });
    await shared.cluster.scheduler.start();
    const again = await gatedRun(shared.cluster, 'forgotten', gated.run.id);
    await waitUntil('the end of the forgotten run', async () => {
      const runs = await gatedRuns(shared.cluster, 'forgotten');
      return runs.every(({ id }) => id !== gated.run.id);
    });
    await again.release();
    await expectResult(shared.cluster, gated, again.id);
  });
});

describe('a worker', () => {
  it('killed with -9 leaves no process, and its action starts elsewhere within the lease and 5 s', async () => {
    const client = new ClientRun(shared.farm, { script: gatedScript('orphaned') });
    const real = await startGatedClient(shared.cluster, 'orphaned-too');
    const first = await gatedRun(shared.cluster, 'orphaned');
    const worker = shared.cluster.workers[first.workerIndex]!;
    const below = descendantsOf(worker.pid);
    expect(below.length).toBeGreaterThan(2);

    const killedMs = performance.now();
    await worker.kill();
    const second = await gatedRun(shared.cluster, 'orphaned', first.id);
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
    const run = moved ? await gatedRun(shared.cluster, 'orphaned-too', real.run.id) : real.run;
    await run.release();
    await expectResult(shared.cluster, real, run.id);
  });

  it('that was stopped for two leases and goes on has its late result refused', async () => {
    const client = new ClientRun(shared.farm, { script: gatedScript('late') });
    const first = await gatedRun(shared.cluster, 'late');
    const worker = shared.cluster.workers[first.workerIndex]!;
    worker.signal('SIGSTOP');
    try {
      // Its launcher and its action go on meanwhile: the result is there when it wakes up.
      await first.release();
      const second = await gatedRun(shared.cluster, 'late', first.id);
      expect(second.workerIndex).toBe(otherThan(first.workerIndex));
      await pause(LEASE_MS);
      worker.signal('SIGCONT');
      const [operation = ''] = client.names;
      await worker.logged('lease ended', { operation, epoch: 1, answer: 'STALE' });
      expect(await client.isFiled()).toBe(false);
      await second.release();
      expect(await client.runId()).toBe(second.id);
      expect(await new ClientRun(shared.farm, { script: gatedScript('late') }).runId()).toBe(second.id);
      expect(client.attempts).toMatchObject([{ workerId: `worker-${first.workerIndex + 1}`, epoch: 1 }]);
    } finally {
      worker.signal('SIGCONT');
    }
  });

  it('killed with -9 while it stores outputs has filed nothing, and its action is run again', async () => {
    const outputs = ['out', 'big'];
    const script = gatedScript('storing', 'echo $id > out; truncate -s 64M big');
    const client = new ClientRun(shared.farm, { script, outputs });
    const first = await gatedRun(shared.cluster, 'storing');
    const worker = shared.cluster.workers[first.workerIndex]!;
    await first.release();
    await midUpload(shared.cluster, worker);
    expect(await client.isFiled()).toBe(false);
    await worker.kill();

    const second = await gatedRun(shared.cluster, 'storing', first.id);
    expect(await client.isFiled()).toBe(false);
    await second.release();
    expect(await client.runId()).toBe(second.id);
    const result = await client.result();
    expect(result.outputFiles.find(({ path }) => path === 'big')?.digest?.sizeBytes).toBe(64 * MIB);
    expect(await client.isFiled()).toBe(true);
  });

  it('whose launcher is killed with -9 starts another, and the action is run again', async () => {
    const client = new ClientRun(shared.farm, { script: gatedScript('launcher') });
    const first = await gatedRun(shared.cluster, 'launcher');
    const worker = shared.cluster.workers[first.workerIndex]!;
    const [launcher = 0, ...below] = descendantsOf(worker.pid);
    process.kill(launcher, 'SIGKILL');
    const second = await gatedRun(shared.cluster, 'launcher', first.id);
    await waitUntil('the processes below it to end', () => below.filter(isRunning).length === 0);
    await second.release();
    expect(await client.runId()).toBe(second.id);
  });
});

describe('kill -9 of nats-server', () => {
  it('actions are accepted meanwhile, what runs goes on, and all finish once it is back', async () => {
    const running = await Promise.all(
      ['n-1', 'n-2', 'n-3', 'n-4'].map((name) => startGatedClient(shared.cluster, name)),
    );
    const specs = Array.from({ length: 12 }, (_, index) => ({ script: plainScript(`nats ${index}`) }));
    const early = specs.slice(0, 6).map((spec) => new ClientRun(shared.farm, spec));
    await statusBecomes({ queued: 6, executing: 4 });
    // Dispatch is under way when the server dies: the first is through its gate, and the next are being offered.
    await running[0]?.run.release();
    await shared.cluster.nats.kill();
    const awaySinceMs = performance.now();

    const late = specs.slice(6).map((spec) => new ClientRun(shared.farm, spec));
    const real = shared.cluster.client('run', '--', 'sh', '-c', plainScript('while nats is away'));
    await waitUntil('the client to hear that it is queued', () => real.stderr.includes('queued\n'));
    for (const client of late) await waitUntil('it to be accepted', () => client.names.length > 0);
    for (const { run } of running.slice(1)) await run.release();
    await pause(Math.max(0, NATS_AWAY_MS - (performance.now() - awaySinceMs)));
    await shared.cluster.nats.start();

    for (const gated of running) await expectResult(shared.cluster, gated, gated.run.id);
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

it('kill -9 of every part in turn: a client that waits all the while has its result', async () => {
  const { cluster } = shared;
  const gated = await startGatedClient(cluster, 'in-turn');
  const goesOn = async () => {
    await cluster.allKnown();
    await statusBecomes({ queued: 0, executing: 1 });
    expect((await gatedRuns(cluster, 'in-turn')).map(({ id }) => id)).toEqual([gated.run.id]);
  };
  for (const part of [cluster.nats, cluster.cache, cluster.scheduler]) {
    await part.kill();
    await part.start();
    await goesOn();
  }
  const worker = cluster.workers[gated.run.workerIndex]!;
  await worker.kill();
  await worker.start();
  const second = await gatedRun(cluster, 'in-turn', gated.run.id);
  await second.release();
  await expectResult(cluster, gated, second.id);
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
    await checkInvariants(none);
  });
});
