import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChunkedBytes } from '../../../cache/chunking/chunked-bytes.ts';
import { ChunkingBlobStore } from '../../../cache/chunking/chunking-blob-store.ts';
import { CodecBudget } from '../../../cache/compression/codec-budget.ts';
import { TransientForms } from '../../../cache/compression/transient-forms.ts';
import { contentAddressableStorageService } from '../../../cache/grpc/content-addressable-storage-service.ts';
import { sameStoresFor } from '../../../cache/grpc/same-stores.ts';
import { announcedChunking } from '../../../cache/remote/announced-chunking.ts';
import { chunkingParamsOf } from '../../../cache/remote/chunking-params-of.ts';
import { GrpcBlobSplitter } from '../../../cache/remote/grpc-blob-splitter.ts';
import { GrpcBlobStore } from '../../../cache/remote/grpc-blob-store.ts';
import { internal } from '../../../core/error.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { RpcChannel } from '../../../core/rpc/rpc-channel.ts';
import { RpcServer } from '../../../core/rpc/rpc-server.ts';
import { bytesOf } from '../../../core/streams.ts';
import { ContentAddressableStorageDefinition } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { inPieces, readAll, sampleBlob, sampleBytes } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';
import { cut } from '../chunking/chunked-store.ts';

const MIB = 1024 * 1024;
const base = { instanceName: '', digestFunction: 0 as const, chunkingFunction: 0 as const };

let server: Awaited<ReturnType<typeof openCacheServer>>;
let front: Awaited<ReturnType<typeof openFront>>;

beforeAll(async () => {
  server = await openCacheServer();
  front = await openFront(server.channel);
});
afterAll(async () => {
  await front[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** An endpoint whose blobs are another process's, as a scheduler of its own has it. */
async function openFront(cacheChannel: RpcChannel) {
  const remote = { channel: cacheChannel, instanceName: '' };
  const notAsked = async (): Promise<never> => {
    throw internal('not asked for');
  };
  const rpc = new RpcServer({ logger: silentLogger });
  rpc.addService(
    ContentAddressableStorageDefinition,
    contentAddressableStorageService({
      storesOf: sameStoresFor({
        blobStore: new GrpcBlobStore(remote),
        actionCache: { get: notAsked, put: notAsked },
      }),
      splitterOf: () => new GrpcBlobSplitter(remote),
      forms: new TransientForms(new CodecBudget()),
    }),
  );
  const { port } = await rpc.listen({ host: '127.0.0.1', port: 0 });
  const channel = new RpcChannel({ address: `127.0.0.1:${port}` });
  return {
    channel,
    cas: channel.client(ContentAddressableStorageDefinition),
    async [Symbol.asyncDispose]() {
      await channel.close();
      await rpc.close({ graceMs: 0 });
    },
  };
}

describe('a client that cuts what it uploads', () => {
  it('leaves a blob at the cache that is there only as chunks, and can be split into them', async () => {
    const remote = { channel: server.channel, instanceName: '' };
    const store = new ChunkingBlobStore({
      inner: new GrpcBlobStore(remote),
      params: announcedChunking(remote),
    });
    const bytes = sampleBytes(7 * MIB, 70_001);
    const { digest, chunks } = await cut(bytes);
    await store.write(digest, inPieces(bytes, 50_000));
    expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
    const list = await new GrpcBlobSplitter(remote).split(digest, store);
    expect(list?.chunks.map(String)).toEqual(chunks.map((chunk) => chunk.digest.toString()));
    expect(list?.chunkingFunction).toBe(1);
  });

  it('is told when its bytes are not the digest it said', async () => {
    const remote = { channel: server.channel, instanceName: '' };
    const store = new ChunkingBlobStore({
      inner: new GrpcBlobStore(remote),
      params: announcedChunking(remote),
    });
    const { digest } = sampleBlob(3 * MIB, 70_002);
    const other = sampleBlob(3 * MIB, 70_003);
    await expect(store.write(digest, inPieces(other.bytes, 50_000))).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: `Write ${digest}: the bytes that arrived are ${other.digest}`,
    });
    expect(await store.findMissing([digest])).toEqual([digest]);
  });
});

describe('an endpoint in front of another cache', () => {
  it('passes splits and splices on', async () => {
    const bytes = sampleBytes(4 * MIB, 70_010);
    const { digest, chunks } = await cut(bytes);
    for (const chunk of chunks) await server.blobStore.write(chunk.digest, bytesOf(chunk.bytes));
    const blobDigest = digest.toMessage();
    const chunkDigests = chunks.map((chunk) => chunk.digest.toMessage());
    expect(await front.cas.spliceBlob({ ...base, blobDigest, chunkDigests })).toEqual({ blobDigest });
    expect((await front.cas.splitBlob({ ...base, blobDigest })).chunkDigests).toEqual(chunkDigests);
    expect((await readAll(server.blobStore, digest))?.equals(bytes)).toBe(true);
  });

  it('passes on what the cache refuses', async () => {
    const { digest } = sampleBlob(3 * MIB, 70_011);
    const absent = sampleBlob(3 * MIB, 70_012).digest;
    const blobDigest = digest.toMessage();
    await expect(front.cas.splitBlob({ ...base, blobDigest })).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: `Split ${digest}: the blob or a chunk of it is not here`,
    });
    await expect(
      front.cas.spliceBlob({ ...base, blobDigest, chunkDigests: [absent.toMessage()] }),
    ).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: `Splice ${digest}: 1 chunk is not here: ${absent}`,
    });
  });
});

describe('GrpcBlobStore', () => {
  it('is content when the blob is there in other chunks', async () => {
    const store = new GrpcBlobStore({ channel: server.channel, instanceName: '' });
    const bytes = sampleBytes(3 * MIB, 70_020);
    const { digest, chunks } = await cut(bytes);
    for (const chunk of chunks) await store.write(chunk.digest, bytesOf(chunk.bytes));
    const list = { chunks: chunks.map((chunk) => chunk.digest), chunkingFunction: 1 as const };
    await store.write(digest, new ChunkedBytes(list, store));
    const halves = [bytes.subarray(0, 1000), bytes.subarray(1000)];
    const others = await Promise.all(
      halves.map(async (half) => {
        const { digest: chunk } = await cut(half);
        await store.write(chunk, bytesOf(half));
        return chunk;
      }),
    );
    await store.write(digest, new ChunkedBytes({ chunks: others, chunkingFunction: 0 }, store));
    expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
  });
});

describe('how a server wants blobs cut', () => {
  const announced = { avgChunkSizeBytes: 65_536, seed: 3 };

  it('is what it announces', () => {
    expect(
      chunkingParamsOf({
        ...server.cacheCapabilities,
        spliceBlobSupport: true,
        fastCdc2020Params: announced,
      }),
    ).toEqual({ minBytes: 16_384, avgBytes: 65_536, maxBytes: 262_144, seed: 3 });
  });

  it.each([
    ['no splices', { spliceBlobSupport: false, fastCdc2020Params: announced }],
    ['no FastCDC', { spliceBlobSupport: true, fastCdc2020Params: undefined }],
    [
      'an average out of range',
      { spliceBlobSupport: true, fastCdc2020Params: { avgChunkSizeBytes: 512, seed: 0 } },
    ],
  ])('is not at all, with %s', (_what, changed) => {
    expect(chunkingParamsOf({ ...server.cacheCapabilities, ...changed })).toBeUndefined();
  });
});
