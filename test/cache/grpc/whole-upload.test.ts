import { afterAll, describe, expect, it } from 'vitest';
import type { BlobOptions } from '../../../cache/blob-store.ts';
import { isWholeUpload, receiveWhole } from '../../../cache/grpc/whole-upload.ts';
import { WriteSessions } from '../../../cache/grpc/write-sessions.ts';
import type { Digest } from '../../../core/digest.ts';
import type { WholeBytes } from '../../../core/streams.ts';
import { Compressor_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { WriteRequest } from '../../../proto/gen/google/bytestream/bytestream.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { sampleBlob } from '../bytes.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';
import { sinkInto } from './sink-into.ts';

const limits = { sessionsMax: 10, bufferedBytesMax: 1000, detachedBytesMax: 1000, detachedMs: 60_000 };
const sessions = new WriteSessions(limits);
afterAll(() => sessions.close());

/** What the store was given, and when it may take it. */
class WatchedStore extends MemoryBlobStore {
  readonly given: AsyncIterable<Uint8Array>[] = [];
  ready: Promise<void> = Promise.resolve();

  override async write(digest: Digest, source: AsyncIterable<Uint8Array>): Promise<void> {
    this.given.push(source);
    await this.ready;
    await super.write(digest, source);
  }
}

function whole(sizeBytes: number, seed: number) {
  const { bytes, digest } = sampleBlob(sizeBytes, seed);
  const compressor = Compressor_Value.IDENTITY;
  const name = { instanceName: '', uuid: `uuid-${seed}`, digest, compressor };
  const first: WriteRequest = { resourceName: 'x', writeOffset: 0, finishWrite: true, data: bytes };
  return { name, first, bytes, digest };
}

async function* requests(...messages: WriteRequest[]): AsyncGenerator<WriteRequest, void> {
  yield* messages;
}

const options: BlobOptions = {};

describe('an upload of one message', () => {
  it('is what begins at 0, brings all bytes and is the last', () => {
    const { name, first } = whole(500, 1);
    expect(isWholeUpload(first, name, sessions)).toBe(true);
    expect(isWholeUpload({ ...first, finishWrite: false }, name, sessions)).toBe(false);
    expect(isWholeUpload({ ...first, writeOffset: 1 }, name, sessions)).toBe(false);
    expect(isWholeUpload({ ...first, data: first.data.subarray(1) }, name, sessions)).toBe(false);
  });

  it('is also a frame with all of a blob, unless that is large', () => {
    const { name, first } = whole(500, 10);
    const frame = { ...first, data: first.data.subarray(100) };
    const compressed = { ...name, compressor: Compressor_Value.ZSTD };
    expect(isWholeUpload(frame, compressed, sessions)).toBe(true);
    const large = { ...compressed, digest: whole(1024 * 1024 + 1, 11).digest };
    expect(isWholeUpload(frame, large, sessions)).toBe(false);
  });

  it('is none when another stream has begun it', () => {
    const { name, first, bytes } = whole(500, 2);
    const { signal } = new AbortController();
    const store = new MemoryBlobStore();
    using attachment = sessions.attach(name, { offset: 0, sink: sinkInto(store, name), signal });
    attachment.accept(0, bytes.subarray(0, 100));
    expect(isWholeUpload(first, name, sessions)).toBe(false);
  });

  it('reaches the store as it came, in one piece', async () => {
    const { name, first, bytes, digest } = whole(500, 3);
    const store = new WatchedStore();
    const answer = await receiveWhole({
      name,
      sink: sinkInto(store, name),
      sessions,
      options,
      first,
      requests: requests(),
    });
    expect(answer).toEqual({ committedSize: 500 });
    expect((store.given[0] as WholeBytes).bytes).toBe(bytes);
    expect(await store.findMissing([digest])).toEqual([]);
  });

  it('is refused when its bytes are others', async () => {
    const { name, first } = whole(500, 4);
    const store = new WatchedStore();
    const lie = { ...first, data: Buffer.alloc(500) };
    await expect(
      receiveWhole({
        name,
        sink: sinkInto(store, name),
        sessions,
        options,
        first: lie,
        requests: requests(),
      }),
    ).rejects.toMatchObject({ code: Code.INVALID_ARGUMENT });
  });

  it('is refused when another message comes behind it while it is stored', async () => {
    const { name, first, digest } = whole(500, 5);
    const store = new WatchedStore();
    const stored = Promise.withResolvers<void>();
    store.ready = stored.promise;
    await expect(
      receiveWhole({
        name,
        sink: sinkInto(store, name),
        sessions,
        options,
        first,
        requests: requests(first),
      }),
    ).rejects.toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: `Write ${digest}: a message came after finish_write`,
    });
    stored.resolve();
  });

  it('counts against the memory of uploads, and gives it back', async () => {
    const [one, two, three] = [6, 7, 8].map((seed) => whole(600, seed));
    const store = new WatchedStore();
    const stored = Promise.withResolvers<void>();
    store.ready = stored.promise;
    const under = receiveWhole({
      ...one!,
      sink: sinkInto(store, one!),
      sessions,
      options,
      requests: requests(),
    });
    await expect(
      receiveWhole({ ...two!, sink: sinkInto(store, two!), sessions, options, requests: requests() }),
    ).rejects.toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      message: 'Buffer a request: calls hold 600 bytes of messages, the limit is 1000',
    });
    stored.resolve();
    await under;
    await receiveWhole({ ...three!, sink: sinkInto(store, three!), sessions, options, requests: requests() });
  });

  it('is refused while the server is closing', async () => {
    const closed = new WriteSessions(limits);
    await closed.close();
    const store = new WatchedStore();
    const upload = whole(10, 9);
    const sink = sinkInto(store, upload);
    await expect(
      receiveWhole({ ...upload, sink, sessions: closed, options, requests: requests() }),
    ).rejects.toMatchObject({ code: Code.UNAVAILABLE, message: 'the server is closing' });
    expect(store.given).toEqual([]);
  });
});
