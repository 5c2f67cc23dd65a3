import { describe, expect, it } from 'vitest';
import { ChunkingBlobStore } from '../../cache/chunking/chunking-blob-store.ts';
import { chunkListFailPoints } from '../../cache/chunking/level-chunk-lists.ts';
import { announcedChunking } from '../../cache/remote/announced-chunking.ts';
import { GrpcBlobStore } from '../../cache/remote/grpc-blob-store.ts';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import { ContentAddressableStorageDefinition } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { inPieces, readAll, sampleBlob } from '../cache/bytes.ts';
import { ServerUnderFault } from '../faults/server-under-fault.ts';
import { tempFolder } from '../setup/temp-folder.ts';

/** Longer than a restart takes on a machine that has much else to do. */
const PATIENT = { attemptsMax: 60, firstBackoffMs: 100, backoffMsMax: 1000 };
const BLOB_BYTES = 6 * 1024 * 1024;

function clientOf(channel: RpcChannel) {
  const remote = { channel, instanceName: '' };
  return new ChunkingBlobStore({ inner: new GrpcBlobStore(remote), params: announcedChunking(remote) });
}

describe.concurrent('a cache that is killed while a blob comes to it in chunks', () => {
  for (const point of ['cas.after_write:4', 'cas.before_reply:5', ...chunkListFailPoints]) {
    it(`at ${point}, has the blob whole or not at all, and the client gets through`, async () => {
      const { bytes, digest } = sampleBlob(BLOB_BYTES, 1);
      await using data = await tempFolder();
      await using cache = await ServerUnderFault.start(data.path, { fail: point });
      await using channel = new RpcChannel({ address: cache.grpc, retry: PATIENT });
      const store = clientOf(channel);
      const writing = store.write(digest, inPieces(bytes, 100_000));
      expect(await cache.died()).toBe('SIGKILL');

      await using _again = await ServerUnderFault.start(data.path, { at: cache });
      await writing;
      expect(await store.findMissing([digest])).toEqual([]);
      expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
    });
  }

  it.each([
    ['chunks.before_list', false],
    ['chunks.after_list', true],
  ])('at %s, and nobody tries again: the blob is there = %s', async (point, isThere) => {
    const { bytes, digest } = sampleBlob(BLOB_BYTES, 2);
    await using data = await tempFolder();
    {
      await using cache = await ServerUnderFault.start(data.path, { fail: point });
      const writing = clientOf(cache.channel).write(digest, inPieces(bytes, 100_000), {
        signal: AbortSignal.timeout(20_000),
      });
      writing.catch(() => undefined);
      expect(await cache.died()).toBe('SIGKILL');
    }
    await using again = await ServerUnderFault.start(data.path);
    expect((await again.blobs.findMissing([digest])).length).toBe(isThere ? 0 : 1);
    const read = await readAll(again.blobs, digest);
    expect(isThere ? read?.equals(bytes) : read).toBe(isThere ? true : undefined);
  });

  it('while it cuts a blob for SplitBlob, has the blob, and cuts it anew', async () => {
    const { bytes, digest } = sampleBlob(BLOB_BYTES, 3);
    await using data = await tempFolder();
    {
      await using cache = await ServerUnderFault.start(data.path, { fail: 'chunks.before_list' });
      await cache.blobs.write(digest, inPieces(bytes, 100_000));
      split(cache.channel).catch(() => undefined);
      expect(await cache.died()).toBe('SIGKILL');
    }
    await using again = await ServerUnderFault.start(data.path);
    expect((await readAll(again.blobs, digest))?.equals(bytes)).toBe(true);
    const { chunkDigests } = await split(again.channel);
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
