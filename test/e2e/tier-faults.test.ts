import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Digest } from '../../core/digest.ts';
import { bytesOf } from '../../core/streams.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { inPieces, readAll, sampleBlob } from '../cache/bytes.ts';
import { smallDisk } from '../setup/small-disk.ts';
import { TcpProxy } from '../setup/tcp-proxy.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { TierNode } from '../setup/tier-node.ts';
import { Versitygw } from '../setup/versitygw.ts';
import { findVersitygw } from '../setup/versitygw-program.ts';
import { waitUntil } from '../setup/wait-until.ts';

const MIB = 1024 * 1024;
const TIER = 's3://farm/team';
const keyOf = (digest: Digest) => `team/@/cas/sha256/${digest.hash}`;
const run = promisify(execFile);

describe.skipIf(findVersitygw() === undefined)('a cache over a real S3 server', () => {
  beforeAll(() => {
    Object.assign(process.env, Versitygw.environment);
  });

  it('uploads after kill -9 of both what it had answered for, and an empty node reads it all', async () => {
    await using bucket = await Versitygw.start();
    await using node = await TierNode.start({ tier: TIER, endpoint: bucket.endpoint });
    const blobs = [1000, 1000, 200_000, 70 * MIB].map((sizeBytes, seed) => sampleBlob(sizeBytes, seed));
    await bucket.kill();
    for (const { bytes, digest } of blobs) await node.store.write(digest, inPieces(bytes, 500_000));
    expect(await node.status()).toMatchObject({ queued: blobs.length, uploaded: 0 });
    await node.part.kill();
    await bucket.start();
    await node.part.start();
    await waitUntil('the queue to be empty', async () => (await node.status()).queued === 0);
    expect(await node.status()).toMatchObject({ uploaded: blobs.length, lost: 0 });

    await using empty = await TierNode.start({ tier: TIER, endpoint: bucket.endpoint });
    expect(await empty.store.findMissing(blobs.map(({ digest }) => digest))).toEqual([]);
    for (const { bytes, digest } of blobs) {
      expect((await readAll(empty.store, digest))?.equals(bytes)).toBe(true);
    }
    await bucket.kill();
    for (const { bytes, digest } of blobs) {
      expect((await readAll(empty.store, digest))?.equals(bytes), 'kept').toBe(true);
    }
  });

  it('gives HTTP clients what only the bucket has, and uploads what they send without a length', async () => {
    await using bucket = await Versitygw.start();
    await using writer = await TierNode.start({ tier: TIER, endpoint: bucket.endpoint });
    const { bytes, digest } = sampleBlob(300_000, 5);
    const sent = await fetch(`http://${writer.part.endpoint('http')}/cas/${digest.hash}`, {
      method: 'PUT',
      body: ReadableStream.from(inPieces(bytes)),
      duplex: 'half',
    } as RequestInit);
    expect(sent.ok).toBe(true);
    await waitUntil('the upload', async () => (await writer.status()).uploaded === 1);
    await using empty = await TierNode.start({ tier: TIER, endpoint: bucket.endpoint });
    const url = `http://${empty.part.endpoint('http')}/cas/${digest.hash}`;
    expect((await fetch(url, { method: 'HEAD' })).headers.get('content-length')).toBe('300000');
    expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes)).toBe(true);
    expect((await fetch(`${url.slice(0, -1)}${digest.hash.endsWith('0') ? 1 : 0}`)).status).toBe(404);
  });

  it('never ends a read with wrong bytes from the bucket, says they are missing, and heals them', async () => {
    await using bucket = await Versitygw.start();
    const blobs = [1000, 3 * MIB, 3 * MIB].map((sizeBytes, seed) => sampleBlob(sizeBytes, 10 + seed));
    {
      await using writer = await TierNode.start({
        tier: TIER,
        endpoint: bucket.endpoint,
        flags: ['--tier-write', 'sync'],
      });
      for (const { bytes, digest } of blobs) await writer.store.write(digest, inPieces(bytes, 500_000));
    }
    const [small, flipped, cut] = blobs;
    for (const { digest, bytes } of [small!, flipped!]) {
      const file = await readFile(bucket.path(keyOf(digest)));
      file[bytes.length - 5] = (file[bytes.length - 5] ?? 0) ^ 1;
      await writeFile(bucket.path(keyOf(digest)), file);
    }
    await writeFile(bucket.path(keyOf(cut!.digest)), cut!.bytes.subarray(0, MIB));

    await using node = await TierNode.start({ tier: TIER, endpoint: bucket.endpoint });
    expect(await readAll(node.store, small!.digest)).toBeUndefined();
    await expect(readAll(node.store, flipped!.digest)).rejects.toMatchObject({ code: Code.DATA_LOSS });
    expect(await readAll(node.store, cut!.digest)).toBeUndefined();
    const digests = blobs.map(({ digest }) => digest);
    expect(await node.store.findMissing(digests)).toEqual(digests);
    expect((await node.status()).damaged).toBe(2);
    for (const { bytes, digest } of blobs) await node.store.write(digest, inPieces(bytes, 500_000));
    await waitUntil('the queue to be empty', async () => (await node.status()).queued === 0);
    for (const { bytes, digest } of blobs) {
      expect((await readFile(bucket.path(keyOf(digest)))).equals(bytes)).toBe(true);
    }
  });

  it('survives the bucket killed in mid-read: UNAVAILABLE, and whole when it is back', async () => {
    await using bucket = await Versitygw.start();
    await using proxy = await TcpProxy.start(bucket.port);
    const { bytes, digest } = sampleBlob(24 * MIB, 20);
    {
      await using writer = await TierNode.start({
        tier: TIER,
        endpoint: bucket.endpoint,
        flags: ['--tier-write', 'sync'],
      });
      await writer.store.write(digest, inPieces(bytes, 500_000));
    }
    await using node = await TierNode.start({ tier: TIER, endpoint: `http://127.0.0.1:${proxy.port}` });
    // One cut in the middle is not even seen.
    proxy.cutAfter = { bytes: 6 * MIB, times: 1 };
    expect((await readAll(node.store, digest))?.equals(bytes)).toBe(true);

    await using other = await TierNode.start({ tier: TIER, endpoint: `http://127.0.0.1:${proxy.port}` });
    proxy.bytesPerSecond = 8 * MIB;
    const before = proxy.bytesDown;
    const reading = readAll(other.store, digest);
    reading.catch(() => undefined);
    await waitUntil('a part to have come', () => proxy.bytesDown - before > 4 * MIB);
    await bucket.kill();
    await expect(reading).rejects.toMatchObject({ code: Code.UNAVAILABLE });
    await bucket.start();
    proxy.bytesPerSecond = undefined;
    const again = await waitUntil('the blob', () => readAll(other.store, digest));
    expect(again.equals(bytes)).toBe(true);
  });

  it('survives the bucket killed in mid-write: the upload goes on when it is back', async () => {
    await using bucket = await Versitygw.start();
    await using proxy = await TcpProxy.start(bucket.port);
    await using node = await TierNode.start({ tier: TIER, endpoint: `http://127.0.0.1:${proxy.port}` });
    const { bytes, digest } = sampleBlob(24 * MIB, 21);
    proxy.bytesPerSecond = 8 * MIB;
    const before = proxy.bytesUp;
    await node.store.write(digest, inPieces(bytes, 500_000));
    await waitUntil('a part to have gone', () => proxy.bytesUp - before > 4 * MIB);
    await bucket.kill();
    await waitUntil('the failure', async () => Number((await node.status()).retried) > 0);
    expect(await node.status()).toMatchObject({ queued: 1, uploaded: 0 });
    proxy.bytesPerSecond = undefined;
    await bucket.start();
    await waitUntil('the upload', async () => (await node.status()).uploaded === 1);
    expect((await readFile(bucket.path(keyOf(digest)))).equals(bytes)).toBe(true);
  });

  it('serves what it has while the bucket is frozen, and answers for the rest in bounded time', async () => {
    await using bucket = await Versitygw.start();
    await using node = await TierNode.start({
      tier: TIER,
      endpoint: bucket.endpoint,
      flags: ['--tier-timeout', '500ms'],
    });
    const here = sampleBlob(1000, 30);
    await node.store.write(here.digest, bytesOf(here.bytes));
    await waitUntil('the queue to be empty', async () => (await node.status()).queued === 0);
    const unknown = Array.from({ length: 300 }, (_, index) => sampleBlob(10, 4000 + index).digest);
    bucket.pause();
    const startedMs = performance.now();
    expect(await node.store.findMissing([here.digest, ...unknown])).toHaveLength(300);
    const waitedMs = performance.now() - startedMs;
    expect((await readAll(node.store, here.digest))?.equals(here.bytes)).toBe(true);
    const secondMs = performance.now();
    expect(await node.store.findMissing(unknown)).toHaveLength(300);
    console.log(
      `300 unknown digests of a frozen bucket: ${Math.round(waitedMs)} ms, then ${Math.round(performance.now() - secondMs)} ms`,
    );
    expect(waitedMs).toBeLessThan(5_000);
    bucket.resume();
    expect((await node.status()).isAway).toBe(true);
    await waitUntil('it to be found back', async () => {
      await node.store.findMissing(unknown.slice(0, 1));
      return (await node.status()).isAway === false;
    });
  });

  it.skipIf(process.getuid?.() !== 0)('waits out a full bucket, and uploads when there is room', async () => {
    await using folder = await tempFolder();
    const disk = join(folder.path, 'bucket');
    await using _disk = await smallDisk(disk, 8 * MIB);
    await using bucket = await Versitygw.start({ folder: disk });
    await using node = await TierNode.start({ tier: TIER, endpoint: bucket.endpoint });
    const blobs = Array.from({ length: 6 }, (_, seed) => sampleBlob(3 * MIB, 40 + seed));
    for (const { bytes, digest } of blobs) await node.store.write(digest, inPieces(bytes, 500_000));
    await waitUntil('the bucket to be full', async () => Number((await node.status()).retried) > 3);
    expect(Number((await node.status()).queued)).toBeGreaterThan(0);
    await run('mount', ['-o', `remount,size=${64 * MIB}`, disk]);
    await waitUntil('the queue to be empty', async () => (await node.status()).queued === 0);
    for (const { bytes, digest } of blobs) {
      expect((await readFile(bucket.path(keyOf(digest)))).equals(bytes)).toBe(true);
    }
  });

  it('does not start on a bucket that refuses it, and starts without one that is away', async () => {
    await using bucket = await Versitygw.start();
    await expect(TierNode.start({ tier: 's3://elsewhere', endpoint: bucket.endpoint })).rejects.toThrow(
      /Open the tier: Read an object: the object store refuses us \(NoSuchBucket, HTTP 404\)/,
    );
    await bucket.kill();
    await using node = await TierNode.start({ tier: TIER, endpoint: bucket.endpoint });
    const { bytes, digest } = sampleBlob(1000, 50);
    await node.store.write(digest, bytesOf(bytes));
    expect(node.part.log).toContain('the object store does not answer; the cache starts without it');
    expect(node.part.log).not.toContain(Versitygw.environment.AWS_SECRET_ACCESS_KEY);
  });
});
