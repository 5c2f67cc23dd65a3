import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ChunkingBlobStore } from '../../cache/chunking/chunking-blob-store.ts';
import { chunkListFailPoints } from '../../cache/chunking/level-chunk-lists.ts';
import { announcedChunking } from '../../cache/remote/announced-chunking.ts';
import { GrpcBlobStore } from '../../cache/remote/grpc-blob-store.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import { ContentAddressableStorageDefinition } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { inPieces, readAll, sampleBlob } from '../cache/bytes.ts';
import { CacheProcess } from './cache-process.ts';

/** Longer than a restart takes on a machine that has much else to do. */
const PATIENT = { attemptsMax: 60, firstBackoffMs: 100, backoffMsMax: 1000 };
const BLOB_BYTES = 6 * 1024 * 1024;

let data: string;
let caches: CacheProcess[] = [];

async function start(options?: { readonly port?: number; readonly fail?: string }): Promise<CacheProcess> {
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

function clientOf(channel: RpcChannel) {
  const remote = { channel, instanceName: '' };
  return new ChunkingBlobStore({ inner: new GrpcBlobStore(remote), params: announcedChunking(remote) });
}

describe('a cache that is killed while a blob comes to it in chunks', () => {
  for (const point of ['cas.after_write:4', 'cas.before_reply:5', ...chunkListFailPoints]) {
    it(`at ${point}, has the blob whole or not at all, and the client gets through`, async () => {
      const { bytes, digest } = sampleBlob(BLOB_BYTES, 1);
      const cache = await start({ fail: point });
      await using channel = new RpcChannel({ address: cache.address, retry: PATIENT });
      const store = clientOf(channel);
      const writing = store.write(digest, inPieces(bytes, 100_000));
      expect(await cache.died()).toBe('SIGKILL');

      const again = await start({ port: cache.port });
      await writing;
      expect(await store.findMissing([digest])).toEqual([]);
      expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
      await again.kill();
    });
  }

  it.each([
    ['chunks.before_list', false],
    ['chunks.after_list', true],
  ])('at %s, and nobody tries again: the blob is there = %s', async (point, isThere) => {
    const { bytes, digest } = sampleBlob(BLOB_BYTES, 2);
    const cache = await start({ fail: point });
    {
      await using channel = new RpcChannel({ address: cache.address });
      const writing = clientOf(channel).write(digest, inPieces(bytes, 100_000), {
        signal: AbortSignal.timeout(20_000),
      });
      writing.catch(() => undefined);
      expect(await cache.died()).toBe('SIGKILL');
    }
    const again = await start();
    await using channel = new RpcChannel({ address: again.address });
    const store = new GrpcBlobStore({ channel, instanceName: '' });
    expect((await store.findMissing([digest])).length).toBe(isThere ? 0 : 1);
    const read = await readAll(store, digest);
    expect(isThere ? read?.equals(bytes) : read).toBe(isThere ? true : undefined);
  });

  it('while it cuts a blob for SplitBlob, has the blob, and cuts it anew', async () => {
    const { bytes, digest } = sampleBlob(BLOB_BYTES, 3);
    const cache = await start({ fail: 'chunks.before_list' });
    {
      await using channel = new RpcChannel({ address: cache.address });
      await new GrpcBlobStore({ channel, instanceName: '' }).write(digest, inPieces(bytes, 100_000));
      split(channel).catch(() => undefined);
      expect(await cache.died()).toBe('SIGKILL');
    }
    const again = await start();
    await using channel = new RpcChannel({ address: again.address });
    const store = new GrpcBlobStore({ channel, instanceName: '' });
    expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
    const { chunkDigests } = await split(channel);
    expect(chunkDigests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).toBe(BLOB_BYTES);

    function split(at: RpcChannel) {
      return at.client(ContentAddressableStorageDefinition).splitBlob({
        instanceName: '',
        blobDigest: digest.toMessage(),
        digestFunction: 0,
        chunkingFunction: 0,
      });
    }
  });
});
