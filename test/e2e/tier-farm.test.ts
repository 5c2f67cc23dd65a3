import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { RolePart } from '../setup/cluster.ts';
import { NatsServer } from '../setup/nats-server.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { TierNode } from '../setup/tier-node.ts';
import { Versitygw } from '../setup/versitygw.ts';
import { findVersitygw } from '../setup/versitygw-program.ts';
import { ingot } from './cli-process.ts';

const TIER = 's3://farm/team';
const SYNC = ['--tier-write', 'sync'];

/** Scheduler and worker in front of these cache nodes, and a client of them. */
async function startFarm(addresses: readonly string[], stack: AsyncDisposableStack) {
  const nats = stack.use(await NatsServer.start());
  const { path: folder } = stack.use(await tempFolder());
  const common = (name: string) => [
    ...['--data', join(folder, name), '--log-format', 'json'],
    ...['--cache', addresses.join(','), '--nats', nats.url],
  ];
  const scheduler = new RolePart(() => ['scheduler', ...common('scheduler'), '--grpc', '127.0.0.1:0']);
  stack.defer(() => scheduler.kill());
  await scheduler.start();
  const worker = new RolePart(() => ['worker', ...common('worker'), '--sandbox', 'none', '--worker-id', 'w']);
  stack.defer(() => worker.kill());
  await worker.start();
  const endpoint = scheduler.endpoint('grpc');
  /** A command that writes 40 files, so that every node gets some. */
  const build = (word: string) =>
    ingot(
      [
        ...['--endpoint', endpoint, 'run', '--output', `out-${word}`, '--', 'sh', '-c'],
        `mkdir out-${word}; for i in $(seq 40); do echo ${word} $i > out-${word}/$i; done; echo ran ${word}`,
      ],
      { cwd: folder, environment: { XDG_CACHE_HOME: join(folder, 'client') } },
    );
  return { build, folder, scheduler, worker };
}

describe.skipIf(findVersitygw() === undefined)('a farm over three cache nodes and one bucket', () => {
  beforeAll(() => {
    Object.assign(process.env, Versitygw.environment);
  });

  it('goes on when a node is killed, has its results, and takes an empty node in its place', async () => {
    await using stack = new AsyncDisposableStack();
    const bucket = stack.use(await Versitygw.start());
    const startNode = async () =>
      stack.use(await TierNode.start({ tier: TIER, endpoint: bucket.endpoint, flags: SYNC }));
    const nodes = await Promise.all([startNode(), startNode(), startNode()]);
    const { build, folder, scheduler, worker } = await startFarm(
      nodes.map(({ address }) => address),
      stack,
    );
    const first = await build('one');
    expect(first, scheduler.log + worker.log).toMatchObject({ code: 0 });
    expect(first.stderr).not.toMatch(/^hit in/m);
    expect(await readdir(join(folder, 'out-one'))).toHaveLength(40);
    for (const node of nodes) expect(Number((await node.status()).uploaded)).toBeGreaterThan(3);

    for (const [index, node] of nodes.entries()) {
      await node.part.kill();
      const again = await build('one');
      expect(again, scheduler.log).toMatchObject({ code: 0, stdout: 'ran one\n' });
      expect(again.stderr, `answered from the cache without node ${index}`).toMatch(/^hit in/m);
      const other = await build(`without-${index}`);
      expect(other, scheduler.log + worker.log).toMatchObject({ code: 0 });
      await node.part.start();
    }
  });
});
