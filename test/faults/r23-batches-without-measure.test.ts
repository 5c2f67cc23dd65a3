import { afterAll, beforeAll, expect } from 'vitest';
import { Digest } from '../../core/digest.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import { ContentAddressableStorageDefinition } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { sampleBlob } from '../cache/bytes.ts';
import { rejection } from '../setup/rejection.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { fault, type Saw } from './fault.ts';
import { ServerUnderFault } from './server-under-fault.ts';

const MIB = 1024 * 1024;
const BLOCKED_MS_MAX = 50;
/** The loop is late in every try when the server holds it, and in some when other processes have the processor. */
const TRYING_MS = 30_000;

let data: AsyncDisposable & { readonly path: string };
let cache: ServerUnderFault;
let client: ServiceClient<typeof ContentAddressableStorageDefinition>;
let seed = 30_000;

beforeAll(async () => {
  data = await tempFolder();
  cache = await ServerUnderFault.start(data.path, { isTimed: true });
  client = cache.channel.client(ContentAddressableStorageDefinition);
});
afterAll(async () => {
  await cache?.[Symbol.asyncDispose]();
  await data?.[Symbol.asyncDispose]();
});

const base = { instanceName: '', digestFunction: 0 as const };
const once = { retry: false };

function fresh(sizeBytes: number) {
  seed += 1;
  return sampleBlob(sizeBytes, seed);
}

function update({ bytes, digest }: { readonly bytes: Buffer; readonly digest: Digest }) {
  return { digest: digest.toMessage(), data: bytes, compressor: 0 as const };
}

/** Digests of nothing that was ever stored. */
function unknownDigests(count: number) {
  return Array.from({ length: count }, (_, index) => ({
    hash: (index + 1).toString(16).padStart(64, '0'),
    sizeBytes: 1024,
  }));
}

/** The longest that the server's event loop was held since the last look, as its own clock has it. */
async function longestMs(): Promise<number> {
  const text = await (await fetch(`http://${cache.http}/metrics`)).text();
  const match = /^ingot_event_loop_lag_seconds\{of="max"\} (\S+)$/m.exec(text);
  return Number(match?.[1]) * 1000;
}

/** Provokes until the server's loop was never held for long, which it should be at once. */
async function neverBlocked(saw: Saw, provoke: () => Promise<void>): Promise<void> {
  const endMs = performance.now() + TRYING_MS;
  let leastMs = Number.POSITIVE_INFINITY;
  while (leastMs >= BLOCKED_MS_MAX && performance.now() < endMs) {
    await longestMs();
    await provoke();
    leastMs = Math.min(leastMs, await longestMs());
  }
  saw(`the event loop was held for ${leastMs.toFixed(1)} ms at the most`);
  expect(leastMs).toBeLessThan(BLOCKED_MS_MAX);
}

fault('R23', 'a batch of uploads over the limit by bytes', async (saw) => {
  const blobs = [fresh(2_000_000), fresh(1_700_000)];
  await neverBlocked(saw, async () => {
    const error = await rejection(client.batchUpdateBlobs({ ...base, requests: blobs.map(update) }, once));
    expect(error).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'BatchUpdateBlobs: 3700000 bytes in all blobs, at most 3670016 are accepted',
    });
  });
  const digests = blobs.map(({ digest }) => digest);
  expect(await cache.blobs.findMissing(digests)).toEqual(digests);
  saw('INVALID_ARGUMENT for the whole, and nothing is stored');
});

fault('R23', 'a batch of reads over the limit by count, and by bytes', async (saw) => {
  const many = { ...base, digests: unknownDigests(45_000), acceptableCompressors: [] };
  for (const digest of many.digests) digest.sizeBytes = 1;
  await neverBlocked(saw, async () => {
    expect(await rejection(client.batchReadBlobs(many, once))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'BatchReadBlobs: 45000 digests with 45000 bytes would make an answer of over 4128768 bytes',
    });
  });
  const large = {
    ...base,
    digests: [{ hash: 'a'.repeat(64), sizeBytes: 3_670_017 }],
    acceptableCompressors: [],
  };
  expect(await rejection(client.batchReadBlobs(large, once))).toMatchObject({
    code: Code.INVALID_ARGUMENT,
    message: 'BatchReadBlobs: 3670017 bytes in all blobs, at most 3670016 are given',
  });
  saw('INVALID_ARGUMENT for the whole, both times');
});

fault('R23', 'one bad blob among a thousand', async (saw) => {
  await neverBlocked(saw, async () => {
    const blobs = Array.from({ length: 1000 }, () => fresh(100));
    const requests = blobs.map(update);
    requests[500] = { ...requests[500]!, data: Buffer.from('bad') };
    const { responses } = await client.batchUpdateBlobs({ ...base, requests });
    const [bad, ...others] = responses.filter(({ status }) => status?.code !== Code.OK);
    expect([bad?.status?.code, bad?.digest, others]).toEqual([
      Code.INVALID_ARGUMENT,
      requests[500]!.digest,
      [],
    ]);
    const digests = blobs.map(({ digest }) => digest);
    expect((await cache.blobs.findMissing(digests)).map(String)).toEqual([String(digests[500])]);
  });
  saw('999 statuses are OK and one is INVALID_ARGUMENT; exactly the one is missing');
});

fault('R23', 'the same blob many times in one batch', async (saw) => {
  await neverBlocked(saw, async () => {
    const blob = fresh(1000);
    const lie = { ...update(blob), data: Buffer.alloc(1000) };
    const requests = [...Array.from({ length: 500 }, () => update(blob)), lie];
    const { responses } = await client.batchUpdateBlobs({ ...base, requests });
    const codes = responses.map(({ status }) => status?.code);
    expect(codes.slice(0, 500)).toEqual(Array(500).fill(Code.OK));
    // A store may see that the blob is there by then, and not look at the bytes.
    expect([Code.OK, Code.INVALID_ARGUMENT]).toContain(codes[500]);
    const digests = Array.from({ length: 500 }, () => blob.digest.toMessage());
    const read = await client.batchReadBlobs({ ...base, digests, acceptableCompressors: [] });
    expect(read.responses).toHaveLength(500);
    expect(read.responses.every(({ data: bytes }) => blob.bytes.equals(bytes))).toBe(true);
    const absent = unknownDigests(3);
    const blobDigests = [...absent, ...digests, ...absent];
    const { missingBlobDigests } = await client.findMissingBlobs({ ...base, blobDigests });
    expect(missingBlobDigests).toEqual(absent);
  });
  saw('a status for each upload, the right bytes for each read, each absent digest once');
});

fault('R23', 'a message of 4 MiB and one byte', async (saw) => {
  const digest = Digest.of('b'.repeat(64), 4 * MIB);
  const empty = {
    ...base,
    requests: [{ digest: digest.toMessage(), data: Buffer.alloc(0), compressor: 0 as const }],
  };
  await neverBlocked(saw, async () => {
    // The data's tag and length, and longer lengths around it.
    const padding = sizeOf(empty) + 4 + 1 + 3;
    const whole = { ...empty, requests: [{ ...empty.requests[0]!, data: Buffer.alloc(4 * MIB - padding) }] };
    const tooLong = {
      ...empty,
      requests: [{ ...whole.requests[0]!, data: Buffer.alloc(4 * MIB - padding + 1) }],
    };
    expect(sizeOf(whole)).toBe(4 * MIB);
    expect(await rejection(client.batchUpdateBlobs(whole, once))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
    expect(await rejection(client.batchUpdateBlobs(tooLong, once))).toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      message: `Read a gRPC message: it has ${4 * MIB + 1} bytes, the limit is ${4 * MIB}`,
    });
  });
  saw('4 MiB are read, and refused as a batch; one byte more is RESOURCE_EXHAUSTED');
});

fault('R23', 'as many digests in FindMissing as a message holds, and 100,000', async (saw) => {
  const blobDigests = unknownDigests(55_000);
  await neverBlocked(saw, async () => {
    const { missingBlobDigests } = await client.findMissingBlobs({ ...base, blobDigests }, once);
    expect(missingBlobDigests).toHaveLength(blobDigests.length);
  });
  // Hashes that are alike for as long as a cheap look goes; nobody has to have bytes of that hash to ask for them.
  const alike = Array.from({ length: 55_000 }, (_, index) => ({
    hash: '0'.repeat(40) + index.toString(16).padStart(24, '0'),
    sizeBytes: 1024,
  }));
  await neverBlocked(saw, async () => {
    const { missingBlobDigests } = await client.findMissingBlobs({ ...base, blobDigests: alike }, once);
    expect(missingBlobDigests).toHaveLength(alike.length);
  });
  const tooMany = { ...base, blobDigests: unknownDigests(100_000) };
  expect(await rejection(client.findMissingBlobs(tooMany, once))).toMatchObject({
    code: Code.RESOURCE_EXHAUSTED,
  });
  await using other = new RpcChannel({ address: cache.grpc });
  const small = { ...base, blobDigests: unknownDigests(1) };
  await other.client(ContentAddressableStorageDefinition).findMissingBlobs(small);
  saw(
    '55,000 are answered, also when they look alike; 100,000 make a message over the limit: RESOURCE_EXHAUSTED',
  );
});

function sizeOf(request: Parameters<typeof client.batchUpdateBlobs>[0]): number {
  return ContentAddressableStorageDefinition.methods.batchUpdateBlobs.requestType.encode(request).finish()
    .length;
}
