import { expect } from 'vitest';
import { Digest } from '../../core/digest.ts';
import { bytesOf } from '../../core/streams.ts';
import { ReadRequest } from '../../proto/gen/google/bytestream/bytestream.ts';
import { readAll, sampleBlob } from '../cache/bytes.ts';
import { RawClient, wireMessage } from '../setup/raw-grpc.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { fault } from './fault.ts';
import { ServerUnderFault } from './server-under-fault.ts';

const MIB = 2 ** 20;
const READERS = 50;
/** The whole gigabyte on a slow disk is a minute of its own; what is read of it is the same. */
const BLOB_BYTES = process.env.INGOT_TEST_LONG === '1' ? 1024 * MIB : 256 * MIB;
const GROWTH_BYTES = 64 * MIB;
const WATCH_MS = 5000;
/** Of calls by others; below a few milliseconds the machine's own noise is all there is to see. */
const NOISE_MS = 15;

async function p99Of(cache: ServerUnderFault, digest: Digest): Promise<number> {
  const took: number[] = [];
  for (const endMs = performance.now() + WATCH_MS; performance.now() < endMs; ) {
    const startedMs = performance.now();
    await readAll(cache.blobs, digest);
    took.push(performance.now() - startedMs);
  }
  return took.sort((a, b) => a - b)[Math.floor(took.length * 0.99)] ?? 0;
}

fault('R18', `${READERS} readers at 1 KiB/s of a blob of ${BLOB_BYTES / MIB} MiB`, async (saw) => {
  await using data = await tempFolder();
  await using cache = await ServerUnderFault.start(data.path, { isTimed: true });
  const piece = sampleBlob(MIB, 18_000);
  const large = Buffer.concat(Array.from({ length: BLOB_BYTES / MIB }, () => piece.bytes));
  const digest = Digest.ofBytes(large);
  await cache.blobs.write(digest, bytesOf(large));
  const small = sampleBlob(1000, 18_001);
  await cache.blobs.write(small.digest, bytesOf(small.bytes));
  const alone = await p99Of(cache, small.digest);

  const before = await cache.residentBytes();
  const port = Number(cache.grpc.split(':')[1]);
  const clients = Array.from({ length: READERS }, () => new RawClient(port));
  const request = ReadRequest.fromPartial({ resourceName: `blobs/${digest}` });
  const timers = clients.map((client) => {
    const { stream } = client.open('/google.bytestream.ByteStream/Read');
    stream.end(wireMessage(ReadRequest.encode(request).finish()));
    stream.pause();
    return setInterval(() => stream.read(1024), 1000);
  });
  try {
    const beside = await p99Of(cache, small.digest);
    const grown = (await cache.residentBytes()) - before;
    saw(
      `memory grew by ${(grown / MIB).toFixed(0)} MiB; p99 of others ${alone.toFixed(1)} → ${beside.toFixed(1)} ms`,
    );
    expect(grown).toBeLessThan(GROWTH_BYTES);
    expect(beside).toBeLessThan(Math.max(2 * alone, NOISE_MS));
  } finally {
    for (const timer of timers) clearInterval(timer);
    for (const client of clients) client[Symbol.dispose]();
  }
});
