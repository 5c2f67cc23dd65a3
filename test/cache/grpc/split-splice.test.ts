import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Digest } from '../../../core/digest.ts';
import type { IngotError } from '../../../core/error.ts';
import { unpackAny } from '../../../core/error-details.ts';
import type { ServiceClient } from '../../../core/rpc/rpc-service.ts';
import { bytesOf } from '../../../core/streams.ts';
import {
  ContentAddressableStorageDefinition,
  DigestFunction_Value,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { PreconditionFailure } from '../../../proto/gen/google/rpc/error_details.ts';
import { damageStoredBlob } from '../../setup/stored-blobs.ts';
import { readAll, sampleBlob, sampleBytes } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';
import { cut } from '../chunking/chunked-store.ts';

const MIB = 1024 * 1024;
const base = { instanceName: '', digestFunction: 0 as const, chunkingFunction: 0 as const };

let server: Awaited<ReturnType<typeof openCacheServer>>;
let client: ServiceClient<typeof ContentAddressableStorageDefinition>;

beforeAll(async () => {
  server = await openCacheServer({ recentBlobBytes: 0 });
  client = server.channel.client(ContentAddressableStorageDefinition);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** The bytes' chunks, stored, and the request that makes the blob of them. */
async function uploadChunks(bytes: Uint8Array, { without }: { readonly without?: readonly number[] } = {}) {
  const { digest, chunks } = await cut(bytes);
  for (const [index, chunk] of chunks.entries()) {
    if (!without?.includes(index)) await server.blobStore.write(chunk.digest, bytesOf(chunk.bytes));
  }
  const request = {
    ...base,
    blobDigest: digest.toMessage(),
    chunkDigests: chunks.map((chunk) => chunk.digest.toMessage()),
  };
  return { digest, chunks, request };
}

describe('SpliceBlob', () => {
  it('makes a blob of its chunks, which SplitBlob then names in the same order', async () => {
    const bytes = sampleBytes(4 * MIB, 40_001);
    const { digest, request } = await uploadChunks(bytes);
    const chunkingFunction = 1 as const;
    expect(await client.spliceBlob({ ...request, chunkingFunction })).toEqual({
      blobDigest: digest.toMessage(),
    });
    expect((await readAll(server.blobStore, digest))?.equals(bytes)).toBe(true);
    expect(await client.splitBlob({ ...base, blobDigest: digest.toMessage() })).toEqual({
      chunkDigests: request.chunkDigests,
      chunkingFunction,
    });
    // Again is no-op.
    expect(await client.spliceBlob(request)).toEqual({ blobDigest: digest.toMessage() });
  });

  it('names the chunks that are not here, and has nothing then', async () => {
    const { digest, chunks, request } = await uploadChunks(sampleBytes(4 * MIB, 40_002), { without: [1, 3] });
    const missing = [chunks[1]?.digest, chunks[3]?.digest];
    const error = await client.spliceBlob(request).then(
      () => undefined,
      (thrown: IngotError) => thrown,
    );
    expect(error).toMatchObject({
      code: Code.NOT_FOUND,
      message: `Splice ${digest}: 2 chunks are not here: ${missing.join(', ')}`,
    });
    const details = error?.details.map((any) =>
      unpackAny(PreconditionFailure, 'google.rpc.PreconditionFailure', any),
    );
    expect(details?.[0]?.violations.map(({ type, subject }) => `${type} ${subject}`)).toEqual(
      missing.map((chunk) => `MISSING blobs/${chunk}`),
    );
    expect(await server.blobStore.findMissing([digest])).toEqual([digest]);
  });

  it('names only the first of many chunks that are not here', async () => {
    const chunkDigests = Array.from({ length: 30 }, (_, index) => sampleBlob(MIB, 41_000 + index).digest);
    const { digest } = sampleBlob(30 * MIB, 41_100);
    await expect(
      client.spliceBlob({
        ...base,
        blobDigest: digest.toMessage(),
        chunkDigests: chunkDigests.map((chunk) => chunk.toMessage()),
      }),
    ).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: `Splice ${digest}: 30 chunks are not here: ${chunkDigests.slice(0, 5).join(', ')} and 25 more`,
    });
  });

  it('computes the digest and believes none', async () => {
    const { request } = await uploadChunks(sampleBytes(3 * MIB, 40_003));
    const lie = sampleBlob(3 * MIB, 40_004).digest;
    const truth = sampleBlob(3 * MIB, 40_003).digest;
    await expect(client.spliceBlob({ ...request, blobDigest: lie.toMessage() })).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: `Write ${lie}: the bytes that arrived are ${truth}`,
    });
    const short = Digest.of(lie.hash, 3 * MIB - 1);
    await expect(client.spliceBlob({ ...request, blobDigest: short.toMessage() })).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: `Splice ${short}: the chunks have ${3 * MIB} bytes together`,
    });
    expect(await server.blobStore.findMissing([lie, truth])).toEqual([lie, truth]);
  });

  it('says ALREADY_EXISTS of a blob that is here in other chunks, and keeps those', async () => {
    const bytes = sampleBytes(3 * MIB, 40_005);
    const { digest, request } = await uploadChunks(bytes);
    await client.spliceBlob(request);
    const halves = [bytes.subarray(0, 100), bytes.subarray(100)].map((half) => ({
      bytes: half,
      digest: Digest.ofBytes(half),
    }));
    for (const half of halves) await server.blobStore.write(half.digest, bytesOf(half.bytes));
    await expect(
      client.spliceBlob({ ...request, chunkDigests: halves.map((half) => half.digest.toMessage()) }),
    ).rejects.toMatchObject({
      code: Code.ALREADY_EXISTS,
      message: `Splice ${digest}: it is here in ${request.chunkDigests.length} other chunks, which are kept`,
    });
    const { chunkDigests } = await client.splitBlob({ ...base, blobDigest: digest.toMessage() });
    expect(chunkDigests).toEqual(request.chunkDigests);
  });

  it('takes the chunks of a blob that is here as a whole', async () => {
    const bytes = sampleBytes(3 * MIB, 40_006);
    const { digest, request } = await uploadChunks(bytes);
    await server.blobStore.write(digest, bytesOf(bytes));
    await client.spliceBlob({ ...request, chunkingFunction: 2 });
    expect(await client.splitBlob({ ...base, blobDigest: digest.toMessage() })).toEqual({
      chunkDigests: request.chunkDigests,
      chunkingFunction: 2,
    });
  });

  it('makes small blobs and the empty one too, of chunks that may be empty', async () => {
    const empty = Digest.ofBytes(Buffer.alloc(0)).toMessage();
    const { digest, bytes } = sampleBlob(1000, 40_007);
    const halves = [bytes.subarray(0, 400), bytes.subarray(400)];
    for (const half of halves) await server.blobStore.write(Digest.ofBytes(half), bytesOf(half));
    const [first, second] = halves.map((half) => Digest.ofBytes(half).toMessage());
    await client.spliceBlob({
      ...base,
      blobDigest: digest.toMessage(),
      chunkDigests: [empty, first, empty, second] as never,
    });
    expect((await readAll(server.blobStore, digest))?.equals(bytes)).toBe(true);
    expect(await client.spliceBlob({ ...base, blobDigest: empty, chunkDigests: [] })).toEqual({
      blobDigest: empty,
    });
  });

  it('refuses what is malformed, too much or missing', async () => {
    const { digest, request } = await uploadChunks(sampleBytes(3 * MIB, 40_008));
    const malformed = { hash: 'x'.repeat(64), sizeBytes: 1 };
    const blobDigest = digest.toMessage();
    const many = Array.from({ length: 50_001 }, () => ({ hash: digest.hash, sizeBytes: 1 }));
    for (const [changed, message] of [
      [{ blobDigest: undefined }, 'SpliceBlob: digest is missing'],
      [{ blobDigest: malformed }, 'SpliceBlob: digest hash is not lower-case hexadecimal'],
      [
        { chunkDigests: [blobDigest, malformed] },
        'SpliceBlob: chunk 1: digest hash is not lower-case hexadecimal',
      ],
      [{ chunkDigests: [] }, `Splice ${digest}: the chunks have 0 bytes together`],
      [{ chunkDigests: many }, 'SpliceBlob: 50001 chunks, at most 50000 are accepted'],
    ] as const) {
      await expect(client.spliceBlob({ ...request, ...(changed as object) })).rejects.toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message,
      });
    }
  });

  it('says NOT_FOUND of a chunk that is found damaged on the way', async () => {
    const { digest, chunks, request } = await uploadChunks(sampleBytes(3 * MIB, 40_009));
    const damaged = chunks[2]?.digest as Digest;
    await damageStoredBlob(server.folder, damaged);
    await expect(client.spliceBlob(request)).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: `Splice ${digest}: 1 chunk is not here: ${damaged}`,
    });
  });
});

describe('SplitBlob', () => {
  it('cuts a blob that was stored as a whole, once for all who ask', async () => {
    const bytes = sampleBytes(6 * MIB, 40_020);
    const { digest, chunks } = await cut(bytes);
    await server.blobStore.write(digest, bytesOf(bytes));
    const request = { ...base, blobDigest: digest.toMessage() };
    const answers = await Promise.all(Array.from({ length: 8 }, () => client.splitBlob(request)));
    for (const answer of answers) {
      expect(answer.chunkDigests).toEqual(chunks.map((chunk) => chunk.digest.toMessage()));
      expect(answer.chunkingFunction).toBe(1);
    }
    for (const chunk of chunks) {
      expect((await readAll(server.blobStore, chunk.digest))?.equals(chunk.bytes)).toBe(true);
    }
  });

  it('cuts with the digest function of the blob', async () => {
    const bytes = sampleBytes(3 * MIB, 40_021);
    const digest = Digest.ofBytes(bytes, DigestFunction_Value.BLAKE3);
    await server.blobStore.write(digest, bytesOf(bytes));
    const { chunkDigests } = await client.splitBlob({
      ...base,
      digestFunction: DigestFunction_Value.BLAKE3,
      blobDigest: digest.toMessage(),
    });
    const { chunks } = await cut(bytes);
    expect(chunkDigests).toEqual(
      chunks.map((chunk) => Digest.ofBytes(chunk.bytes, DigestFunction_Value.BLAKE3).toMessage()),
    );
  });

  it('gives a blob below the size of the largest chunk as its only chunk', async () => {
    const { digest, bytes } = sampleBlob(2 * MIB - 1, 40_022);
    await server.blobStore.write(digest, bytesOf(bytes));
    const blobDigest = digest.toMessage();
    expect((await client.splitBlob({ ...base, blobDigest })).chunkDigests).toEqual([blobDigest]);
    const empty = Digest.ofBytes(Buffer.alloc(0)).toMessage();
    expect((await client.splitBlob({ ...base, blobDigest: empty })).chunkDigests).toEqual([]);
  });

  it('says NOT_FOUND of a blob that is not here', async () => {
    const { digest } = sampleBlob(3 * MIB, 40_023);
    await expect(client.splitBlob({ ...base, blobDigest: digest.toMessage() })).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: `Split ${digest}: the blob or a chunk of it is not here`,
    });
    await expect(client.splitBlob({ ...base, blobDigest: undefined })).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'SplitBlob: digest is missing',
    });
  });
});
