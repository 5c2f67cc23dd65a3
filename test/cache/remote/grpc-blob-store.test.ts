import { describe, expect, it } from 'vitest';
import type { BlobStore } from '../../../cache/blob-store.ts';
import { CodecBudget } from '../../../cache/compression/codec-budget.ts';
import { TransientForms } from '../../../cache/compression/transient-forms.ts';
import { contentAddressableStorageService } from '../../../cache/grpc/content-addressable-storage-service.ts';
import { sameStoresFor } from '../../../cache/grpc/same-stores.ts';
import { GrpcBlobStore } from '../../../cache/remote/grpc-blob-store.ts';
import { internal, notFound } from '../../../core/error.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { RpcChannel } from '../../../core/rpc/rpc-channel.ts';
import { RpcServer } from '../../../core/rpc/rpc-server.ts';
import type { ServiceImplementation } from '../../../core/rpc/rpc-service.ts';
import { bytesOf } from '../../../core/streams.ts';
import { ContentAddressableStorageDefinition } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { ByteStreamDefinition } from '../../../proto/gen/google/bytestream/bytestream.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { damageStoredBlob } from '../../setup/stored-blobs.ts';
import { blobStoreContract } from '../blob-store-contract.ts';
import { inPieces, readAll, sampleBlob } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';

blobStoreContract('GrpcBlobStore over a real server', async () => {
  const server = await openCacheServer();
  return {
    store: new GrpcBlobStore({ channel: server.channel, instanceName: 'team/a' }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
});

const forms = new TransientForms(new CodecBudget());

type Cas = ServiceImplementation<typeof ContentAddressableStorageDefinition>;
type ByteStream = ServiceImplementation<typeof ByteStreamDefinition>;

const notThere = async (): Promise<never> => {
  throw internal('not asked for');
};

const splitter = { split: notThere };

/** A store over a server that answers as it is told. */
async function openScripted(blobStore: BlobStore, overrides: Partial<Cas>, byteStream?: ByteStream['read']) {
  const rpc = new RpcServer({ logger: silentLogger });
  const storesOf = sameStoresFor({ blobStore, actionCache: { get: notThere, put: notThere } });
  rpc.addService(ContentAddressableStorageDefinition, {
    ...contentAddressableStorageService({ storesOf, splitterOf: () => splitter, forms }),
    ...overrides,
  });
  rpc.addService(ByteStreamDefinition, {
    write: notThere,
    queryWriteStatus: notThere,
    read:
      byteStream ??
      // biome-ignore lint/correctness/useYield: it only fails
      async function* () {
        throw notFound('nothing here');
      },
  });
  const { port } = await rpc.listen({ host: '127.0.0.1', port: 0 });
  const channel = new RpcChannel({ address: `127.0.0.1:${port}` });
  return {
    store: new GrpcBlobStore({ channel, instanceName: '' }),
    async [Symbol.asyncDispose]() {
      await channel.close();
      await rpc.close({ graceMs: 0 });
    },
  };
}

describe('GrpcBlobStore', () => {
  it('lets many small reads and writes share calls', async () => {
    const memory = new MemoryBlobStore();
    const calls = { updates: 0, reads: 0 };
    const real = contentAddressableStorageService({
      storesOf: sameStoresFor({ blobStore: memory, actionCache: { get: notThere, put: notThere } }),
      splitterOf: () => splitter,
      forms,
    });
    await using opened = await openScripted(memory, {
      batchUpdateBlobs: (request, context) => {
        calls.updates += 1;
        return real.batchUpdateBlobs(request, context);
      },
      batchReadBlobs: (request, context) => {
        calls.reads += 1;
        return real.batchReadBlobs(request, context);
      },
    });
    const blobs = Array.from({ length: 500 }, (_, index) => sampleBlob(1000, index));
    await Promise.all(blobs.map(({ digest, bytes }) => opened.store.write(digest, bytesOf(bytes))));
    const seen = await Promise.all(blobs.map(({ digest }) => readAll(opened.store, digest)));
    expect(seen.every((bytes, index) => bytes?.equals(blobs[index]!.bytes))).toBe(true);
    expect([calls.updates, calls.reads]).toEqual([1, 1]);
  });

  it('hands out no small blob that is not what its digest says', async () => {
    const { digest } = sampleBlob(100, 1);
    const other = sampleBlob(100, 2);
    await using opened = await openScripted(new MemoryBlobStore(), {
      batchReadBlobs: async ({ digests }) => ({
        responses: digests.map((message) => ({
          digest: message,
          data: other.bytes,
          status: undefined,
          compressor: 0,
        })),
      }),
    });
    await expect(opened.store.read(digest)).rejects.toMatchObject({
      code: Code.DATA_LOSS,
      message: `Read ${digest}: the server sent ${other.digest}`,
    });
  });

  it('says so when an answer leaves a blob out', async () => {
    const { bytes, digest } = sampleBlob(100, 1);
    await using opened = await openScripted(new MemoryBlobStore(), {
      batchReadBlobs: async () => ({ responses: [] }),
      batchUpdateBlobs: async () => ({ responses: [] }),
    });
    await expect(opened.store.read(digest)).rejects.toMatchObject({
      code: Code.INTERNAL,
      message: `Read ${digest}: the server's answer leaves it out`,
    });
    await expect(opened.store.write(digest, bytesOf(bytes))).rejects.toMatchObject({
      message: `Write ${digest}: the server's answer leaves it out`,
    });
  });

  const { bytes, digest } = sampleBlob(1_000_000, 3);
  const wrong = Buffer.from(bytes);
  wrong[17]! ^= 1;
  for (const [what, sent, why] of [
    ['wrong bytes', wrong, 'its bytes have the hash'],
    ['too few bytes', bytes.subarray(0, 999_999), '999999 bytes came, expected 1000000'],
    ['too many bytes', Buffer.concat([bytes, bytes]), 'more than 1000000 bytes came'],
  ] as const) {
    it(`never ends a large blob well with ${what}`, async () => {
      await using opened = await openScripted(new MemoryBlobStore(), {}, async function* () {
        for await (const data of inPieces(sent, 100_000)) yield { data: Buffer.from(data) };
      });
      let seen = 0;
      await expect(async () => {
        for await (const chunk of (await opened.store.read(digest)) ?? []) seen += chunk.length;
      }).rejects.toMatchObject({ code: Code.DATA_LOSS, message: expect.stringContaining(why) });
      if (what === 'wrong bytes') expect(seen).toBe(900_000);
    });
  }

  it('says for which build it asks, also when it asks for nothing', async () => {
    await using server = await openCacheServer();
    const store = new GrpcBlobStore({ channel: server.channel, instanceName: '' });
    const { port } = await server.listenHttp({ host: '127.0.0.1', port: 0 });
    const live = async () =>
      (
        (await (await fetch(`http://127.0.0.1:${port}/status`)).json()) as {
          store: { liveInvocations: number };
        }
      ).store.liveInvocations;
    await store.findMissing([]);
    expect(await live()).toBe(0);
    expect(await store.findMissing([], { invocationId: 'build 1' })).toEqual([]);
    expect(await live()).toBe(1);
    await store.findMissing([sampleBlob(10).digest], { invocationId: 'build 2' });
    expect(await live()).toBe(2);
  });

  it('finds a blob that rotted on the server missing, and heals it', async () => {
    await using server = await openCacheServer({ recentBlobBytes: 0 });
    const store = new GrpcBlobStore({ channel: server.channel, instanceName: '' });
    for (const sizeBytes of [1000, 1_000_000]) {
      const blob = sampleBlob(sizeBytes, 5);
      await store.write(blob.digest, bytesOf(blob.bytes));
      await damageStoredBlob(server.folder, blob.digest);
      await readAll(store, blob.digest).catch((error) => expect(error.code).toBe(Code.DATA_LOSS));
      expect(await readAll(store, blob.digest)).toBeUndefined();
      expect(await store.findMissing([blob.digest])).toEqual([blob.digest]);
      await store.write(blob.digest, bytesOf(blob.bytes));
      expect((await readAll(store, blob.digest))?.equals(blob.bytes)).toBe(true);
    }
  });
});
