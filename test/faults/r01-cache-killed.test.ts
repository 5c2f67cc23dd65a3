import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { actionCacheFailPoints } from '../../cache/actions/level-action-cache.ts';
import { blobFileFailPoints } from '../../cache/blobs/blob-files.ts';
import { segmentFailPoints } from '../../cache/disk/segment-log.ts';
import { GrpcActionCache } from '../../cache/remote/grpc-action-cache.ts';
import { GrpcBlobStore } from '../../cache/remote/grpc-blob-store.ts';
import { readInputBlob } from '../../cli/client/input-blob.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import { bytesOf } from '../../core/streams.ts';
import { outputFileBlob } from '../../worker/output/output-file.ts';
import { readAll, sampleBlob } from '../cache/bytes.ts';
import { actionKey, outputFiles, result, shown } from '../cache/results.ts';
import { CacheProcess, incomingFiles, verifiedBlobs } from '../e2e/cache-process.ts';
import { fault, type Saw } from './fault.ts';

type SampleBlob = ReturnType<typeof sampleBlob>;

/** How soon a killed cache must serve again. */
const RESTART_MS = 2000;

let data: string;
let caches: CacheProcess[] = [];

async function start(options?: Parameters<typeof CacheProcess.start>[1]): Promise<CacheProcess> {
  const cache = await CacheProcess.start(data, options);
  caches.push(cache);
  return cache;
}

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'ingot-e2e-'));
});
afterEach(async () => {
  for (const cache of caches) await cache.kill();
  caches = [];
  await rm(data, { recursive: true, force: true });
});

/** Waits for a cache to die at its fail point, looks at the disk, and starts it again at the same port. */
async function restart(cache: CacheProcess, saw: Saw): Promise<CacheProcess> {
  expect(await cache.died()).toBe('SIGKILL');
  await verifiedBlobs(data);
  const again = await start({ port: cache.port });
  expect(again.readyMs).toBeLessThan(RESTART_MS);
  saw(`died as asked; every blob on disk was whole; it served again after ${again.readyMs.toFixed(0)} ms`);
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
    fault('R01', `kill -9 at ${point}, storing ${sizeBytes} bytes`, async (saw) => {
      const isOfFiles =
        point !== 'cas.before_reply' && blobFileFailPoints.some((ofFiles) => ofFiles === point);
      // Of a small blob no point of files is passed; any other is passed by both.
      const early = sampleBlob(isOfFiles ? 20_001 : 300_000, 1);
      const pass = isOfFiles ? 1 : 2;
      const late = sampleBlob(sizeBytes, 2);
      let cache = await start({ fail: `${point}:${pass}` });
      await using channel = new RpcChannel({ address: cache.address });
      const store = new GrpcBlobStore({ channel, instanceName: '' });
      await store.write(early.digest, bytesOf(early.bytes));
      const writing = store.write(late.digest, bytesOf(late.bytes));
      cache = await restart(cache, saw);
      try {
        await writing;
        expect(await store.findMissing([early.digest, late.digest])).toEqual([]);
        for (const { digest, bytes } of [early, late]) {
          expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
        }
        expect(await incomingFiles(data)).toEqual([]);
        saw('the client went on to success; what was acknowledged is there, and incoming/ is empty');
      } finally {
        await cache.kill();
      }
      expect([...(await verifiedBlobs(data))].sort()).toEqual([early.digest.hash, late.digest.hash].sort());
    });
  }
}

for (const point of RARE_POINTS) {
  fault('R01', `kill -9 at ${point}`, async (saw) => {
    const cacheBytes = '8MiB';
    let cache = await start({ fail: `${point}:2`, cacheBytes });
    await using channel = new RpcChannel({ address: cache.address });
    const store = new GrpcBlobStore({ channel, instanceName: '' });
    const blobs: SampleBlob[] = [];
    let dead = false;
    const died = cache.died().finally(() => {
      dead = true;
    });
    const writing = (async () => {
      while (!dead) {
        const blob = sampleBlob(50_000, 200 + blobs.length);
        await store.write(blob.digest, bytesOf(blob.bytes));
        blobs.push(blob);
      }
    })();
    expect(await died).toBe('SIGKILL');
    await verifiedBlobs(data);
    cache = await start({ port: cache.port, cacheBytes });
    expect(cache.readyMs).toBeLessThan(RESTART_MS);
    try {
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
    } finally {
      await cache.kill();
    }
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
  fault('R01', `kill -9 in the midst of a large upload of ${what}`, async (saw) => {
    const sample = sampleBlob(40_000_000, 3);
    const { bytes, digest } = sample;
    const path = join(data, 'large');
    await writeFile(path, bytes);
    let cache = await start({ fail: 'cas.half_written:100' });
    await using channel = new RpcChannel({ address: cache.address });
    const store = new GrpcBlobStore({ channel, instanceName: '' });
    const writing = store.write(digest, await sourceOf(path, sample));
    cache = await restart(cache, saw);
    try {
      await writing;
      expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
    } finally {
      await cache.kill();
    }
  });
}

fault('R01', 'kill -9 in the midst of a download', async (saw) => {
  const { bytes, digest } = sampleBlob(30_000_000, 4);
  let cache = await start();
  await using channel = new RpcChannel({ address: cache.address });
  const store = new GrpcBlobStore({ channel, instanceName: '' });
  await store.write(digest, bytesOf(bytes));
  const chunks: Uint8Array[] = [];
  let read = 0;
  for await (const chunk of (await store.read(digest)) ?? []) {
    chunks.push(chunk);
    read += chunk.length;
    if (read > 5_000_000 && read < 5_300_000) {
      await cache.kill();
      cache = await start({ port: cache.port });
      read = bytes.length;
    }
  }
  await cache.kill();
  expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  saw(`the client went on after 5 of ${bytes.length / 1e6} MB and had them all`);
});

for (const point of actionCacheFailPoints) {
  fault('R02', `kill -9 at ${point}, filing a result`, async (saw) => {
    const output = sampleBlob(50_000, 5);
    let cache = await start({ fail: `${point}:2` });
    await using channel = new RpcChannel({ address: cache.address });
    const store = new GrpcBlobStore({ channel, instanceName: '' });
    const actionCache = new GrpcActionCache({ channel });
    const early = actionKey(1);
    const earlyResult = result({ stdoutRaw: Buffer.from('early') });
    await actionCache.put(early, earlyResult);
    await store.write(output.digest, bytesOf(output.bytes));
    const late = actionKey(2);
    const lateResult = result({ outputFiles: outputFiles({ out: output.digest }) });
    const putting = actionCache.put(late, lateResult);
    cache = await restart(cache, saw);
    try {
      const found = await actionCache.get(late);
      if (found !== undefined) expect(await store.findMissing([output.digest])).toEqual([]);
      await putting;
      expect(shown(await actionCache.get(early))).toEqual(shown(earlyResult));
      expect(shown(await actionCache.get(late))).toEqual(shown(lateResult));
      expect((await readAll(store, output.digest))?.equals(output.bytes)).toBe(true);
      saw(
        `after the restart the result ${found === undefined ? 'was not' : 'was'} there, its blobs are; filed in the end`,
      );
    } finally {
      await cache.kill();
    }
  });
}

fault('R02', 'kill -9 at any time, six times, of a cache that eight clients write to', async (saw) => {
  let seed = 1234;
  const random = (): number => {
    seed = (seed * 48271) % 2147483647;
    return seed / 2147483647;
  };
  const acknowledged: ReturnType<typeof sampleBlob>[] = [];
  const filed: number[] = [];
  let next = 100;
  let cache = await start();
  for (let round = 0; round < 6; round += 1) {
    const channel = new RpcChannel({
      address: cache.address,
      retry: { attemptsMax: 1, firstBackoffMs: 1, backoffMsMax: 1 },
    });
    const retry = { attemptsMax: 1, firstBackoffMs: 1, backoffMsMax: 1 };
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
    const onDisk = await verifiedBlobs(data);
    for (const { digest } of acknowledged) expect(onDisk.has(digest.hash), `blob ${digest}`).toBe(true);
    cache = await start({ port: cache.port });
    expect(await incomingFiles(data)).toEqual([]);
  }
  await using channel = new RpcChannel({ address: cache.address });
  const store = new GrpcBlobStore({ channel, instanceName: '' });
  const actionCache = new GrpcActionCache({ channel });
  for (const { digest, bytes } of acknowledged) {
    expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
  }
  for (const number of filed) expect(await actionCache.get(actionKey(number))).toBeDefined();
  saw(`6 kills, ${acknowledged.length} blobs and ${filed.length} results acknowledged, all there`);
  expect(acknowledged.length).toBeGreaterThan(0);
  await cache.kill();
});
