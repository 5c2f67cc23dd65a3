import { expect } from 'vitest';
import { DiskBlobStore } from '../../cache/disk/disk-blob-store.ts';
import { bytesOf } from '../../core/streams.ts';
import { ByteStreamDefinition } from '../../proto/gen/google/bytestream/bytestream.ts';
import { type Code, codeToJSON } from '../../proto/gen/google/rpc/code.ts';
import { readAll, sampleBlob } from '../cache/bytes.ts';
import { recordingLogger } from '../setup/recording-logger.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { type BlobPlace, cutOff, flipBit, placesOf } from './damage-blob.ts';
import { fault, type Saw } from './fault.ts';
import { ServerUnderFault } from './server-under-fault.ts';

type Sample = ReturnType<typeof sampleBlob>;

const MIB = 2 ** 20;
/** Far more than a scrub of so little data takes. */
const SCRUB_MS = 30_000;

/** Reads as a client that keeps what it gets: the bytes, whether the stream ended well, and how it ended. */
async function readBytes(cache: ServerUnderFault, { digest }: Sample) {
  const client = cache.channel.client(ByteStreamDefinition);
  const chunks: Uint8Array[] = [];
  try {
    const request = { resourceName: `blobs/${digest}`, readOffset: 0, readLimit: 0 };
    for await (const { data } of client.read(request)) chunks.push(data);
    return { bytes: Buffer.concat(chunks), ended: 'OK' };
  } catch (error) {
    return { bytes: Buffer.concat(chunks), ended: codeToJSON((error as { code: Code }).code) };
  }
}

/** Damaged blobs that it has met since start. */
async function corruptBlobsOf(cache: ServerUnderFault): Promise<number> {
  const { store } = (await cache.status()) as { store: { corruptBlobs: number } };
  return store.corruptBlobs;
}

/** Damages a stored blob while the cache is down, then reads it, sees it gone, and heals it. */
async function damageReadHeal(sample: Sample, damage: (place: BlobPlace) => Promise<void>, saw: Saw) {
  await using data = await tempFolder();
  {
    await using cache = await ServerUnderFault.start(data.path);
    await cache.blobs.write(sample.digest, bytesOf(sample.bytes));
    // What comes behind a small blob in its segment must not suffer with it.
    const after = sampleBlob(500, 12_999);
    await cache.blobs.write(after.digest, bytesOf(after.bytes));
  }
  const [place] = await placesOf(data.path, sample.bytes);
  await damage(place!);
  await using cache = await ServerUnderFault.start(data.path);
  const first = await readBytes(cache, sample);
  expect(first.ended).toBeOneOf(['DATA_LOSS', 'NOT_FOUND']);
  expect(first.bytes.length).toBeLessThan(sample.bytes.length);
  saw(`the first read ended ${first.ended} after ${first.bytes.length} of ${sample.bytes.length} bytes`);
  expect((await readBytes(cache, sample)).ended).toBe('NOT_FOUND');
  expect(await cache.blobs.findMissing([sample.digest])).toEqual([sample.digest]);
  const corruptBlobs = await corruptBlobsOf(cache);
  await cache.blobs.write(sample.digest, bytesOf(sample.bytes));
  expect((await readAll(cache.blobs, sample.digest))?.equals(sample.bytes)).toBe(true);
  saw(`missing from then on; corruptBlobs ${corruptBlobs}; the next upload healed it`);
  return { corruptBlobs };
}

for (const [what, sizeBytes] of [
  ['a small blob', 1000],
  ['a large blob', 5 * MIB],
] as const) {
  fault('R12', `one bit of ${what} is flipped`, async (saw) => {
    const sample = sampleBlob(sizeBytes, 12_000 + (sizeBytes % 97));
    const at = Math.floor(sizeBytes * 0.8);
    const { corruptBlobs } = await damageReadHeal(sample, (place) => flipBit(place, at), saw);
    expect(corruptBlobs).toBe(1);
  });

  fault('R12', `${what} is cut off`, async (saw) => {
    const sample = sampleBlob(sizeBytes, 12_100 + (sizeBytes % 97));
    const kept = Math.floor(sizeBytes * 0.8);
    const { corruptBlobs } = await damageReadHeal(sample, (place) => cutOff(place, kept), saw);
    // The end of a segment is no more than what a crash leaves.
    expect(corruptBlobs).toBe(sizeBytes > MIB ? 1 : 0);
  });
}

fault('R12', 'the scrub finds damage that nobody reads', async (saw) => {
  await using data = await tempFolder();
  const samples = [sampleBlob(1000, 12_200), sampleBlob(5 * MIB, 12_201)];
  const settings = {
    folder: data.path,
    recentBlobBytes: 0,
    invocationTtlMs: 600_000,
    logger: recordingLogger(),
  };
  {
    // Small segments, so that the first is full and sealed: a start takes the word of its sidecar, and reads nothing.
    await using disk = await DiskBlobStore.open({ ...settings, segmentBytes: 4096 });
    for (const { digest, bytes } of [...samples, sampleBlob(4000, 12_202)]) {
      await disk.forInstance('').write(digest, bytesOf(bytes));
    }
  }
  for (const { bytes } of samples) {
    const [place] = await placesOf(data.path, bytes);
    await flipBit(place!, Math.floor(bytes.length / 2));
  }
  await using disk = await DiskBlobStore.open({
    ...settings,
    scrubBytesPerSecond: 100 * MIB,
    scrubPauseMs: 0,
  });
  const startedMs = performance.now();
  await expect.poll(() => disk.stats.corruptBlobs, { timeout: SCRUB_MS, interval: 20 }).toBe(samples.length);
  saw(
    `${samples.length} damaged blobs were found ${(performance.now() - startedMs).toFixed(0)} ms after start`,
  );
  const digests = samples.map(({ digest }) => digest);
  expect(await disk.forInstance('').findMissing(digests)).toEqual(digests);
});
