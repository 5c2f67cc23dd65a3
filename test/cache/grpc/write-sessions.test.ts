import { describe, expect, it } from 'vitest';
import { type WriteSessionLimits, WriteSessions } from '../../../cache/grpc/write-sessions.ts';
import { cancelled } from '../../../core/error.ts';
import { Compressor_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { thrown } from '../../setup/rejection.ts';
import { sampleBlob } from '../bytes.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';
import { sinkInto } from './sink-into.ts';

const { signal } = new AbortController();
const LIMITS: WriteSessionLimits = {
  sessionsMax: 2,
  bufferedBytesMax: 10_000,
  detachedBytesMax: 1000,
  detachedMs: 60_000,
};

function upload(seed: number, sizeBytes = 600) {
  const blob = sampleBlob(sizeBytes, 70_000 + seed);
  const compressor = Compressor_Value.IDENTITY;
  return {
    bytes: blob.bytes,
    name: { instanceName: '', uuid: `uuid-${seed}`, digest: blob.digest, compressor },
  };
}

describe('WriteSessions', () => {
  it('gives up the oldest upload that waits when there are too many, and refuses when none waits', async () => {
    await using sessions = new WriteSessions(LIMITS);
    const store = new MemoryBlobStore();
    const [a, b, c, d] = [1, 2, 3, 4].map((seed) => upload(seed));
    const attach = (name: NonNullable<typeof a>['name']) =>
      sessions.attach(name, { offset: 0, sink: sinkInto(store, name), signal });
    for (const { name, bytes } of [a!, b!]) {
      using attachment = attach(name);
      attachment.accept(0, bytes.subarray(0, 100));
    }
    using third = attach(c!.name);
    third.accept(0, c!.bytes.subarray(0, 10));
    expect(sessions.committedBytes(a!.name)).toBeUndefined();
    expect(sessions.committedBytes(b!.name)).toBe(100);
    using _second = attach(b!.name);
    expect(thrown(() => attach(d!.name))).toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      message: `Write ${d!.name.digest}: 2 uploads are under way, as many as are allowed`,
    });
  });

  it('gives up the oldest when those that wait hold too many bytes', async () => {
    await using sessions = new WriteSessions({ ...LIMITS, sessionsMax: 100 });
    const store = new MemoryBlobStore();
    for (const seed of [1, 2, 3]) {
      const { name, bytes } = upload(seed);
      using attachment = sessions.attach(name, { offset: 0, sink: sinkInto(store, name), signal });
      attachment.accept(0, bytes.subarray(0, 400));
    }
    expect([1, 2, 3].map((seed) => sessions.committedBytes(upload(seed).name))).toEqual([
      undefined,
      400,
      400,
    ]);
  });

  it('refuses pieces while the store has too many still to take, and counts none of them', async () => {
    await using sessions = new WriteSessions({ ...LIMITS, bufferedBytesMax: 500 });
    const store = new MemoryBlobStore();
    store.write = (_digest, _source, options) =>
      new Promise((_, reject) => {
        options?.signal?.addEventListener('abort', () => reject(options.signal?.reason));
      });
    const [a, b] = [upload(1), upload(2)];
    using first = sessions.attach(a.name, { offset: 0, sink: sinkInto(store, a.name), signal });
    first.accept(0, a.bytes.subarray(0, 300));
    using second = sessions.attach(b.name, { offset: 0, sink: sinkInto(store, b.name), signal });
    second.accept(0, b.bytes.subarray(0, 100));
    expect(thrown(() => second.accept(100, b.bytes.subarray(100, 300))).code).toBe(Code.RESOURCE_EXHAUSTED);
    expect(sessions.committedBytes(b.name)).toBe(100);
    first.session.abort(cancelled('given up'));
    await expect.poll(() => sessions.size).toBe(1);
    second.accept(100, b.bytes.subarray(100, 300));
    expect(sessions.committedBytes(b.name)).toBe(300);
  });

  it('gives up an upload that is not resumed in time', async () => {
    await using sessions = new WriteSessions({ ...LIMITS, detachedMs: 20 });
    const { name, bytes } = upload(1);
    {
      using attachment = sessions.attach(name, {
        offset: 0,
        sink: sinkInto(new MemoryBlobStore(), name),
        signal,
      });
      attachment.accept(0, bytes.subarray(0, 400));
    }
    expect(sessions.committedBytes(name)).toBe(400);
    await expect.poll(() => sessions.committedBytes(name)).toBeUndefined();
  });

  it('keeps nothing of an upload of which nothing arrived', async () => {
    await using sessions = new WriteSessions(LIMITS);
    const { name } = upload(1);
    sessions
      .attach(name, { offset: 0, sink: sinkInto(new MemoryBlobStore(), name), signal })
      [Symbol.dispose]();
    expect(sessions.size).toBe(0);
  });

  it('gives up all uploads when it closes, and takes no more', async () => {
    const sessions = new WriteSessions(LIMITS);
    const store = new MemoryBlobStore();
    const { name, bytes } = upload(1);
    const attachment = sessions.attach(name, { offset: 0, sink: sinkInto(store, name), signal });
    attachment.accept(0, bytes.subarray(0, 400));
    const stored = attachment.session.stored();
    stored.catch(() => undefined);
    await sessions.close();
    await expect(stored).rejects.toMatchObject({ message: 'the server is closing' });
    expect(
      thrown(() => sessions.attach(name, { offset: 0, sink: sinkInto(store, name), signal })),
    ).toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'the server is closing',
    });
  });
});
