import { describe, expect, it } from 'vitest';
import { restartableSource } from '../../../cache/remote/restartable-source.ts';
import type { Digest } from '../../../core/digest.ts';
import { notFound, unavailable } from '../../../core/error.ts';
import { retryInfo } from '../../../core/error-details.ts';
import { bytesOf } from '../../../core/streams.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { blobStoreContract } from '../blob-store-contract.ts';
import { inPieces, readAll, sampleBlob } from '../bytes.ts';
import { openSharded } from './sharded-under-test.ts';

const nothingToClose = { [Symbol.asyncDispose]: async () => undefined };

blobStoreContract('ShardedBlobStore', async () => ({
  store: openSharded({ shared: false }).store,
  ...nothingToClose,
}));

/** The node that a digest belongs to, by name. */
const ownerOf = ({ nodes }: ReturnType<typeof openSharded>, { words }: Digest) =>
  nodes.candidates(words)[0]?.name;

describe('ShardedBlobStore', () => {
  it('keeps each blob in the node its digest chooses, and asks only that one for it', async () => {
    const sharded = openSharded({ shared: false });
    const blobs = Array.from({ length: 60 }, (_, index) => sampleBlob(100, index));
    for (const { bytes, digest } of blobs) await sharded.store.write(digest, bytesOf(bytes));
    for (const node of sharded.list) {
      const own = blobs.filter(({ digest }) => ownerOf(sharded, digest) === node.name);
      expect(own.length).toBeGreaterThan(5);
      expect(own.every(({ digest }) => node.blobs.blobs.has(digest.key))).toBe(true);
      // The empty blob is there from the start.
      expect(node.blobs.blobs.size).toBe(own.length + 1);
      expect(node.calls).toBe(own.length);
    }
    expect(await sharded.store.findMissing(blobs.map(({ digest }) => digest))).toEqual([]);
    expect(sharded.list.map(({ calls }) => calls).reduce((a, b) => a + b)).toBe(63);
  });

  it('asks the next node while one is away, and the node itself when it is back', async () => {
    const sharded = openSharded();
    const blobs = Array.from({ length: 30 }, (_, index) => sampleBlob(100, 100 + index));
    const digests = blobs.map(({ digest }) => digest);
    const [away] = sharded.list;
    away!.goAway();
    for (const { bytes, digest } of blobs) await sharded.store.write(digest, inPieces(bytes));
    expect(await sharded.store.findMissing(digests)).toEqual([]);
    for (const { bytes, digest } of blobs) {
      expect((await readAll(sharded.store, digest))?.equals(bytes)).toBe(true);
    }
    expect(away!.calls, 'asked no more after three failures').toBe(3);
    expect(sharded.logger.at('warn')).toMatchObject([
      { fields: { node: 'a:8982', openMs: 5000 }, message: 'a cache node is away' },
    ]);
    away!.comeBack();
    sharded.clock.ms += 5000;
    expect(await sharded.store.findMissing(digests)).toEqual([]);
    expect(away!.calls).toBe(4);
    expect(sharded.logger.at('info')).toMatchObject([{ message: 'a cache node is back' }]);
  });

  it('is UNAVAILABLE for the keys of a node that is away, without failover, and serves the others', async () => {
    const sharded = openSharded({ failover: false });
    const blobs = Array.from({ length: 30 }, (_, index) => sampleBlob(100, 200 + index));
    const [away] = sharded.list;
    away!.goAway();
    const theirs = blobs.find(({ digest }) => ownerOf(sharded, digest) === away!.name);
    const others = blobs.filter(({ digest }) => ownerOf(sharded, digest) !== away!.name);
    const refusal = { code: Code.UNAVAILABLE, message: 'a:8982 cannot be reached' };
    await expect(sharded.store.findMissing(blobs.map(({ digest }) => digest))).rejects.toMatchObject(refusal);
    await expect(sharded.store.write(theirs!.digest, bytesOf(theirs!.bytes))).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
    });
    for (const { bytes, digest } of others) await sharded.store.write(digest, bytesOf(bytes));
    expect(await sharded.store.findMissing(others.map(({ digest }) => digest))).toEqual([]);
  });

  it('is UNAVAILABLE when every node is away, after trying again, and says when to come back', async () => {
    const sharded = openSharded();
    for (const node of sharded.list) node.goAway();
    const { bytes, digest } = sampleBlob(100, 300);
    const refusal = { code: Code.UNAVAILABLE, details: [retryInfo(5000)] };
    const message = expect.stringMatching(/:8982 cannot be reached$/);
    await expect(sharded.store.findMissing([digest])).rejects.toMatchObject({ ...refusal, message });
    await expect(sharded.store.read(digest)).rejects.toMatchObject(refusal);
    await expect(sharded.store.write(digest, bytesOf(bytes))).rejects.toMatchObject(refusal);
  });

  it('sends a large upload to another node only when its source can be had again', async () => {
    const { bytes, digest } = sampleBlob(2_000_000, 301);
    const away = (sharded: ReturnType<typeof openSharded>) =>
      sharded.list.find(({ name }) => name === ownerOf(sharded, digest))?.goAway();
    const restarted = openSharded();
    away(restarted);
    await restarted.store.write(
      digest,
      restartableSource((offset) => inPieces(bytes.subarray(offset))),
    );
    expect((await readAll(restarted.store, digest))?.equals(bytes)).toBe(true);

    const streamed = openSharded();
    away(streamed);
    const oneTime = inPieces(bytes, 300_000);
    await expect(streamed.store.write(digest, oneTime)).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
      details: [retryInfo(5000)],
    });
    expect(await streamed.store.findMissing([digest])).toEqual([digest]);
    // The next try goes elsewhere once the node is known to be away.
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await streamed.store.write(digest, inPieces(bytes, 300_000)).catch(() => undefined);
    }
    expect((await readAll(streamed.store, digest))?.equals(bytes)).toBe(true);
  });

  it('leaves alone what a node says for itself', async () => {
    const sharded = openSharded();
    const { digest } = sampleBlob(100, 302);
    const owner = sharded.list.find(({ name }) => name === ownerOf(sharded, digest));
    for (const failure of [
      notFound('no such instance'),
      unavailable('the object store has it and does not answer', { details: [retryInfo(2000)] }),
    ]) {
      owner!.failure = failure;
      await expect(sharded.store.read(digest)).rejects.toBe(failure);
    }
    expect(sharded.list.filter(({ calls }) => calls > 0)).toEqual([owner]);
    expect(sharded.logger.at('warn')).toEqual([]);
  });
});
