import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { actionCacheFailPoints } from '../../cache/actions/level-action-cache.ts';
import { blobFileFailPoints } from '../../cache/blobs/blob-files.ts';
import { segmentFailPoints } from '../../cache/disk/segment-log.ts';
import { GrpcActionCache } from '../../cache/remote/grpc-action-cache.ts';
import { GrpcBlobStore } from '../../cache/remote/grpc-blob-store.ts';
import { readInputBlob } from '../../cli/client/input-blob.ts';
import { Semaphore } from '../../core/concurrency.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import { bytesOf } from '../../core/streams.ts';
import { outputFileBlob } from '../../worker/output/output-file.ts';
import { readAll, sampleBlob } from '../cache/bytes.ts';
import { actionKey, outputFiles, result, shown } from '../cache/results.ts';
import { storedBlobs } from '../setup/stored-blobs.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { fault, type Saw } from './fault.ts';
import { ServerUnderFault } from './server-under-fault.ts';

type SampleBlob = ReturnType<typeof sampleBlob>;

/** How soon a killed cache must serve again. */
const RESTART_MS = 2000;
/** What is timed takes turns. */
const restarts = new Semaphore(1);

/** A fault beside others: each has a cache of its own, and mostly waits for it. */
const crash: typeof fault = (id, title, run) => fault(id, title, run, { concurrent: true });

/** Waits for a cache to die at its fail point, looks at the disk, and starts it again at the same addresses. */
async function restart(
  cache: ServerUnderFault,
  saw: Saw,
  flags: readonly string[] = [],
): Promise<ServerUnderFault> {
  expect(await cache.died()).toBe('SIGKILL');
  await storedBlobs(cache.folder());
  using _turn = await restarts.acquire();
  await using stack = new AsyncDisposableStack();
  const again = stack.use(await ServerUnderFault.start(cache.data, { at: cache, flags, isTimed: true }));
  expect(again.readyMs).toBeLessThan(RESTART_MS);
  saw(`died as asked; every blob on disk was whole; it served again after ${again.readyMs.toFixed(0)} ms`);
  stack.move();
  return again;
}

/** Blobs that go to a segment and to a file; a file's owner is noted in a segment. */
const SMALL_AND_LARGE = [20_000, 1_000_000];
/** Points that are passed only when a segment is full, or the oldest makes room. */
const RARE_POINTS = ['cas.segment_sealed', 'cas.segment_dropped'] as const;
/** The points to die at, and the blobs that pass them. */
const POINTS: [string, number[]][] = [
  ...segmentFailPoints
    .filter((point) => !RARE_POINTS.some((rare) => rare === point))
    .map((point): [string, number[]] => [point, SMALL_AND_LARGE]),
  ...blobFileFailPoints.map((point): [string, number[]] => [
    point,
    point === 'cas.before_reply' ? SMALL_AND_LARGE : [1_000_000],
  ]),
];

for (const [point, sizes] of POINTS) {
  for (const sizeBytes of sizes) {
    crash('R01', `kill -9 at ${point}, storing ${sizeBytes} bytes`, async (saw) => {
      const isOfFiles =
        point !== 'cas.before_reply' && blobFileFailPoints.some((ofFiles) => ofFiles === point);
      // Of a small blob no point of files is passed; any other is passed by both.
      const early = sampleBlob(isOfFiles ? 20_001 : 300_000, 1);
      const pass = isOfFiles ? 1 : 2;
      const late = sampleBlob(sizeBytes, 2);
      await using data = await tempFolder();
      await using cache = await ServerUnderFault.start(data.path, { fail: `${point}:${pass}` });
      const store = cache.blobs;
      await store.write(early.digest, bytesOf(early.bytes));
      const writing = store.write(late.digest, bytesOf(late.bytes));
      await using again = await restart(cache, saw);
      await writing;
      expect(await store.findMissing([early.digest, late.digest])).toEqual([]);
      for (const { digest, bytes } of [early, late]) {
        expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
      }
      expect(await readdir(again.folder('incoming'))).toEqual([]);
      saw('the client went on to success; what was acknowledged is there, and incoming/ is empty');
      await again.kill();
      const onDisk = await storedBlobs(again.folder());
      expect([...onDisk.keys()].sort()).toEqual([early.digest.hash, late.digest.hash].sort());
    });
  }
}

for (const point of RARE_POINTS) {
  crash('R01', `kill -9 at ${point}`, async (saw) => {
    await using data = await tempFolder();
    const flags = ['--cache-bytes', '8MiB'];
    await using cache = await ServerUnderFault.start(data.path, { fail: `${point}:2`, flags });
    const store = cache.blobs;
    const blobs: SampleBlob[] = [];
    let dead = false;
    void cache.died().then(() => {
      dead = true;
    });
    const writing = (async () => {
      while (!dead) {
        const blob = sampleBlob(50_000, 200 + blobs.length);
        await store.write(blob.digest, bytesOf(blob.bytes));
        blobs.push(blob);
      }
    })();
    await using _again = await restart(cache, saw, flags);
    await writing;
    const missing = await store.findMissing(blobs.map(({ digest }) => digest));
    // Before anything was evicted nothing may be missing; later only what was written first.
    if (point === 'cas.segment_sealed') expect(missing).toEqual([]);
    expect(missing.map(String)).toEqual(
      blobs.slice(0, missing.length).map(({ digest }) => digest.toString()),
    );
    for (const { digest, bytes } of blobs.slice(missing.length)) {
      expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
    }
    saw(`${blobs.length} blobs were acknowledged, ${missing.length} of them evicted, the others are whole`);
  });
}

for (const [what, sourceOf] of [
  [
    "the command line's input",
    async (path: string, { digest }: SampleBlob) => readInputBlob({ digest, path }),
  ],
  [
    "a worker's output",
    async (path: string, { bytes, digest }: SampleBlob) =>
      (await outputFileBlob(path, bytes.length, digest.digestFunction)).open(),
  ],
] as const) {
  crash('R01', `kill -9 in the midst of a large upload of ${what}`, async (saw) => {
    const sample = sampleBlob(40_000_000, 3);
    const { bytes, digest } = sample;
    await using data = await tempFolder();
    const path = join(data.path, 'large');
    await writeFile(path, bytes);
    await using cache = await ServerUnderFault.start(data.path, { fail: 'cas.half_written:100' });
    const store = cache.blobs;
    const writing = store.write(digest, await sourceOf(path, sample));
    await using _again = await restart(cache, saw);
    await writing;
    expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
  });
}

crash('R01', 'kill -9 in the midst of a download', async (saw) => {
  const { bytes, digest } = sampleBlob(30_000_000, 4);
  await using data = await tempFolder();
  await using cache = await ServerUnderFault.start(data.path);
  await cache.blobs.write(digest, bytesOf(bytes));
  const chunks: Uint8Array[] = [];
  let readBytes = 0;
  let isKilled = false;
  await using stack = new AsyncDisposableStack();
  for await (const chunk of (await cache.blobs.read(digest)) ?? []) {
    chunks.push(chunk);
    readBytes += chunk.length;
    if (isKilled || readBytes < 5_000_000) continue;
    isKilled = true;
    await cache.kill();
    stack.use(await ServerUnderFault.start(data.path, { at: cache }));
  }
  expect(isKilled).toBe(true);
  expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  saw(`the client went on after 5 of ${bytes.length / 1e6} MB and had them all`);
});

for (const point of actionCacheFailPoints) {
  crash('R02', `kill -9 at ${point}, filing a result`, async (saw) => {
    const output = sampleBlob(50_000, 5);
    await using data = await tempFolder();
    await using cache = await ServerUnderFault.start(data.path, { fail: `${point}:2` });
    const { blobs: store, results: actionCache } = cache;
    const early = actionKey(1);
    const earlyResult = result({ stdoutRaw: Buffer.from('early') });
    await actionCache.put(early, earlyResult);
    await store.write(output.digest, bytesOf(output.bytes));
    const late = actionKey(2);
    const lateResult = result({ outputFiles: outputFiles({ out: output.digest }) });
    const putting = actionCache.put(late, lateResult);
    await using _again = await restart(cache, saw);
    const found = await actionCache.get(late);
    if (found !== undefined) expect(await store.findMissing([output.digest])).toEqual([]);
    await putting;
    expect(shown(await actionCache.get(early))).toEqual(shown(earlyResult));
    expect(shown(await actionCache.get(late))).toEqual(shown(lateResult));
    expect((await readAll(store, output.digest))?.equals(output.bytes)).toBe(true);
    saw(
      `after the restart the result ${found === undefined ? 'was not' : 'was'} there, its blobs are; filed in the end`,
    );
  });
}

crash('R02', 'kill -9 at any time, six times, of a cache that eight clients write to', async (saw) => {
  let seed = 1234;
  const random = (): number => {
    seed = (seed * 48271) % 2147483647;
    return seed / 2147483647;
  };
  const acknowledged: ReturnType<typeof sampleBlob>[] = [];
  const filed: number[] = [];
  let next = 100;
  await using data = await tempFolder();
  await using stack = new AsyncDisposableStack();
  let cache = stack.use(await ServerUnderFault.start(data.path));
  for (let round = 0; round < 6; round += 1) {
    const retry = { attemptsMax: 1, firstBackoffMs: 1, backoffMsMax: 1 };
    const channel = new RpcChannel({ address: cache.grpc, retry });
    const store = new GrpcBlobStore({ channel, instanceName: '', retry });
    const actionCache = new GrpcActionCache({ channel });
    let running = true;
    const client = async (): Promise<void> => {
      while (running) {
        const number = next;
        next += 1;
        const blob = sampleBlob(1 + Math.floor(random() ** 3 * 800_000), number);
        await store.write(blob.digest, bytesOf(blob.bytes));
        acknowledged.push(blob);
        await actionCache.put(actionKey(number), result({ outputFiles: outputFiles({ out: blob.digest }) }));
        filed.push(number);
      }
    };
    const clients = Array.from({ length: 8 }, () => client().catch(() => undefined));
    await new Promise((done) => setTimeout(done, 100 + random() * 400));
    await cache.kill();
    running = false;
    await Promise.all(clients);
    await channel.close();
    const onDisk = await storedBlobs(cache.folder());
    for (const { digest } of acknowledged) expect(onDisk.has(digest.hash), `blob ${digest}`).toBe(true);
    cache = stack.use(await ServerUnderFault.start(data.path, { at: cache }));
    expect(await readdir(cache.folder('incoming'))).toEqual([]);
  }
  const { blobs: store, results: actionCache } = cache;
  for (const { digest, bytes } of acknowledged) {
    expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
  }
  for (const number of filed) expect(await actionCache.get(actionKey(number))).toBeDefined();
  saw(`6 kills, ${acknowledged.length} blobs and ${filed.length} results acknowledged, all there`);
  expect(acknowledged.length).toBeGreaterThan(0);
});
