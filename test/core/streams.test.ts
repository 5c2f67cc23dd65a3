import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Digest, DigestHasher } from '../../core/digest.ts';
import { bytesOf, collectBytes, hashing, rechunk } from '../../core/streams.ts';
import { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { rejection } from '../setup/rejection.ts';

/** A source that remembers how far it was read and whether it was closed. */
function watched(chunks: readonly Uint8Array[]) {
  const state = { pulled: 0, closed: false };
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      for (const chunk of chunks) {
        state.pulled += 1;
        yield chunk;
      }
    } finally {
      state.closed = true;
    }
  }
  return { state, source: source() };
}

async function* failing(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('ab');
  throw new Error('disk on fire');
}

const chunksArbitrary = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 });

describe('collectBytes', () => {
  test('joins the chunks', async () => {
    const source = bytesOf(Buffer.from('one '), Buffer.from('two'));
    expect((await collectBytes(source, { bytesMax: 7, what: 'x' })).toString()).toBe('one two');
  });

  test('of nothing is empty', async () => {
    expect((await collectBytes(bytesOf(), { bytesMax: 0, what: 'x' })).byteLength).toBe(0);
  });

  test('stops at the first byte too many and closes the source', async () => {
    const { source, state } = watched([Buffer.alloc(4), Buffer.alloc(4), Buffer.alloc(4)]);
    expect(await rejection(collectBytes(source, { bytesMax: 7, what: 'HTTP body' }))).toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      message: 'HTTP body has more than 7 bytes, the most that is accepted',
    });
    expect(state).toEqual({ pulled: 2, closed: true });
  });

  test('passes on an error of the source', async () => {
    await expect(collectBytes(failing(), { bytesMax: 7, what: 'x' })).rejects.toThrow('disk on fire');
  });
});

describe('rechunk', () => {
  test('keeps the bytes, in full chunks but for the last', async () => {
    await fc.assert(
      fc.asyncProperty(chunksArbitrary, fc.integer({ min: 1, max: 64 }), async (chunks, chunkBytes) => {
        const all = Buffer.concat(chunks);
        const out = await Array.fromAsync(rechunk(bytesOf(...chunks), chunkBytes));
        expect(Buffer.concat(out).equals(all)).toBe(true);
        expect(out.slice(0, -1).every((chunk) => chunk.byteLength === chunkBytes)).toBe(true);
        expect(out).toHaveLength(Math.ceil(all.byteLength / chunkBytes));
      }),
    );
  });

  test('pulls no more than it needs and closes the source when its reader stops', async () => {
    const { source, state } = watched([Buffer.alloc(4), Buffer.alloc(4), Buffer.alloc(4)]);
    for await (const chunk of rechunk(source, 4)) {
      expect(chunk.byteLength).toBe(4);
      break;
    }
    expect(state).toEqual({ pulled: 1, closed: true });
  });

  test('passes on an error of the source after the full chunks before it', async () => {
    const seen: number[] = [];
    const reading = async (): Promise<void> => {
      for await (const chunk of rechunk(failing(), 1)) seen.push(chunk.byteLength);
    };
    await expect(reading()).rejects.toThrow('disk on fire');
    expect(seen).toEqual([1, 1]);
  });

  test.for([0, -1, 1.5])('refuses chunks of %d bytes', async (chunkBytes) => {
    await expect(rechunk(bytesOf(), chunkBytes).next()).rejects.toThrow(
      `chunkBytes must be a positive integer, not ${chunkBytes}`,
    );
  });
});

describe('bytesOf', () => {
  test('leaves empty chunks out', async () => {
    const chunks = await Array.fromAsync(bytesOf(Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(0)));
    expect(chunks).toEqual([Buffer.from('a')]);
  });
});

describe('hashing', () => {
  test('passes the same chunks on and has the digest at the end', async () => {
    await fc.assert(
      fc.asyncProperty(chunksArbitrary, async (chunks) => {
        const hasher = new DigestHasher(DigestFunction_Value.SHA256);
        const source = bytesOf(...chunks);
        const out = await Array.fromAsync(hashing(source, hasher));
        expect(out).toEqual(chunks.filter((chunk) => chunk.byteLength > 0));
        expect(hasher.digest()).toEqual(Digest.ofBytes(Buffer.concat(chunks)));
      }),
    );
  });

  test('has counted a chunk before its reader sees it', async () => {
    const hasher = new DigestHasher(DigestFunction_Value.SHA256);
    for await (const _ of hashing(bytesOf(Buffer.alloc(3), Buffer.alloc(4)), hasher)) break;
    expect(hasher.sizeBytes).toBe(3);
  });
});
