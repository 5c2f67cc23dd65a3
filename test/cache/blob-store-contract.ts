import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlobStore } from '../../cache/blob-store.ts';
import { readAll as readSeveral } from '../../cache/blobs/read-all.ts';
import { writeAll } from '../../cache/blobs/write-all.ts';
import { Digest } from '../../core/digest.ts';
import { cancelled, unavailable } from '../../core/error.ts';
import { bytesOf } from '../../core/streams.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { inPieces, readAll, sampleBlob } from './bytes.ts';

/** What a contract run opens and closes. */
export interface OpenedBlobStore extends AsyncDisposable {
  readonly store: BlobStore;
}

const KIB = 1024;

/** What every BlobStore promises, on a store that begins empty and is used by all the tests. */
export function blobStoreContract(name: string, open: () => Promise<OpenedBlobStore>): void {
  describe(`${name}, as a BlobStore`, () => {
    let opened: OpenedBlobStore;
    let store: BlobStore;
    let seed = 1000;
    const fresh = (sizeBytes: number) => {
      seed += 1;
      return sampleBlob(sizeBytes, seed);
    };
    beforeAll(async () => {
      opened = await open();
      store = opened.store;
    });
    afterAll(async () => {
      await opened[Symbol.asyncDispose]();
    });

    for (const sizeBytes of [1, 100, 64 * KIB, 128 * KIB, 128 * KIB + 1, 1024 * KIB + 3, 5000 * KIB]) {
      it(`gives back a blob of ${sizeBytes} bytes`, async () => {
        const { bytes, digest } = fresh(sizeBytes);
        expect(await readAll(store, digest)).toBeUndefined();
        expect(await store.findMissing([digest])).toEqual([digest]);
        await store.write(digest, inPieces(bytes));
        expect(await store.findMissing([digest])).toEqual([]);
        expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
      });
    }

    it('has the empty blob from the start, and takes it', async () => {
      const empty = Digest.ofBytes(Buffer.alloc(0));
      expect(await store.findMissing([empty])).toEqual([]);
      expect(await readAll(store, empty)).toEqual(Buffer.alloc(0));
      await store.write(empty, bytesOf());
      await expect(store.write(empty, bytesOf(Buffer.from('x')))).rejects.toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message: `Write ${empty}: more than 0 bytes arrived`,
      });
    });

    it('names each missing digest once, whatever the order', async () => {
      const present = fresh(10);
      const absent = fresh(10);
      await store.write(present.digest, bytesOf(present.bytes));
      const missing = await store.findMissing([
        absent.digest,
        present.digest,
        absent.digest,
        Digest.of(absent.digest.hash, 10),
      ]);
      expect(missing.map(String)).toEqual([absent.digest.toString()]);
      expect(await store.findMissing([])).toEqual([]);
    });

    it('says of a present hash with another size that it is missing', async () => {
      for (const sizeBytes of [50, 300 * KIB]) {
        const { bytes, digest } = fresh(sizeBytes);
        await store.write(digest, inPieces(bytes));
        for (const wrong of [Digest.of(digest.hash, sizeBytes - 1), Digest.of(digest.hash, sizeBytes + 1)]) {
          expect(await store.findMissing([wrong])).toEqual([wrong]);
          expect(await readAll(store, wrong)).toBeUndefined();
        }
        expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
      }
    });

    for (const sizeBytes of [1000, 700 * KIB]) {
      it(`reads parts of a blob of ${sizeBytes} bytes`, async () => {
        const { bytes, digest } = fresh(sizeBytes);
        await store.write(digest, inPieces(bytes));
        for (const [offset, limit] of [
          [0, 10],
          [7, undefined],
          [7, 100],
          [sizeBytes - 1, undefined],
          [sizeBytes - 1, 5],
          [sizeBytes, undefined],
          [sizeBytes / 2, sizeBytes],
        ] as const) {
          const expected = bytes.subarray(offset, limit === undefined ? undefined : offset + limit);
          const seen = await readAll(store, digest, { offset, limit });
          expect(seen?.equals(expected), `offset ${offset}, limit ${limit}`).toBe(true);
        }
      });
    }

    it('refuses an offset behind the end', async () => {
      const { bytes, digest } = fresh(20);
      await store.write(digest, bytesOf(bytes));
      await expect(readAll(store, digest, { offset: 21 })).rejects.toMatchObject({
        code: Code.OUT_OF_RANGE,
        message: `Read ${digest}: offset 21 is not from 0 to 20`,
      });
    });

    for (const sizeBytes of [500, 3000 * KIB]) {
      it(`refuses bytes that are not the digest's, at ${sizeBytes} bytes, and keeps nothing`, async () => {
        const { bytes, digest } = fresh(sizeBytes);
        const other = fresh(sizeBytes);
        const shorter = bytes.subarray(0, sizeBytes - 1);
        const longer = Buffer.concat([bytes, Buffer.from('x')]);
        const cases: [Buffer, string][] = [
          [other.bytes, `the bytes that arrived are ${other.digest}`],
          [shorter, `the bytes that arrived are ${Digest.ofBytes(shorter)}`],
          [longer, `more than ${sizeBytes} bytes arrived`],
          [Buffer.alloc(0), `the bytes that arrived are ${Digest.ofBytes(Buffer.alloc(0))}`],
        ];
        for (const [wrong, why] of cases) {
          await expect(store.write(digest, inPieces(wrong, 60_000))).rejects.toMatchObject({
            code: Code.INVALID_ARGUMENT,
            message: `Write ${digest}: ${why}`,
          });
          expect(await store.findMissing([digest, other.digest])).toEqual([digest, other.digest]);
        }
        await store.write(digest, inPieces(bytes));
        expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
      });

      it(`passes on what its source throws, at ${sizeBytes} bytes, and keeps nothing`, async () => {
        const { bytes, digest } = fresh(sizeBytes);
        async function* breaking(): AsyncGenerator<Uint8Array> {
          yield bytes.subarray(0, sizeBytes - 100);
          throw cancelled('the sender went home');
        }
        await expect(store.write(digest, breaking())).rejects.toMatchObject({
          code: Code.CANCELLED,
          message: 'the sender went home',
        });
        expect(await store.findMissing([digest])).toEqual([digest]);
      });

      it(`stops waiting for its source when its signal aborts, at ${sizeBytes} bytes`, async () => {
        const { bytes, digest } = fresh(sizeBytes);
        const controller = new AbortController();
        async function* stuck(): AsyncGenerator<Uint8Array> {
          yield bytes.subarray(0, sizeBytes - 100);
          setTimeout(() => controller.abort(unavailable('we close')), 20);
          await new Promise(() => undefined);
        }
        await expect(store.write(digest, stuck(), { signal: controller.signal })).rejects.toMatchObject({
          code: Code.UNAVAILABLE,
          message: 'we close',
        });
        expect(await store.findMissing([digest])).toEqual([digest]);
      });

      it(`lets many write the same blob of ${sizeBytes} bytes at once`, async () => {
        const { bytes, digest } = fresh(sizeBytes);
        await Promise.all(Array.from({ length: 20 }, () => store.write(digest, inPieces(bytes, 100_000))));
        expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
      });

      it(`does not make a writer wait for another that stands still, at ${sizeBytes} bytes`, async () => {
        const { bytes, digest } = fresh(sizeBytes);
        const controller = new AbortController();
        async function* stuck(): AsyncGenerator<Uint8Array> {
          yield bytes.subarray(0, 100);
          await new Promise(() => undefined);
        }
        const first = store.write(digest, stuck(), { signal: controller.signal }).catch(() => undefined);
        await store.write(digest, inPieces(bytes));
        expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
        controller.abort(cancelled('enough'));
        await first;
        expect(await store.findMissing([digest])).toEqual([]);
      });
    }

    it('stores several at once, each for itself, and says in order what became of them', async () => {
      const [first, large, known, wrong, last] = [
        fresh(10),
        fresh(3000 * KIB),
        fresh(700),
        fresh(20),
        fresh(64 * KIB),
      ];
      await store.write(known.digest, bytesOf(known.bytes));
      const lie = { digest: wrong.digest, bytes: Buffer.from('something else') };
      const empty = { digest: Digest.ofBytes(Buffer.alloc(0)), bytes: Buffer.alloc(0) };
      for (const others of [[large, empty], [large], []]) {
        const blobs = [first, lie, known, ...others, first, last];
        const outcomes = await writeAll(store, blobs);
        expect(outcomes.map((error) => error?.code)).toEqual(
          blobs.map((blob) => (blob === lie ? Code.INVALID_ARGUMENT : undefined)),
        );
        expect(outcomes[1]?.message).toBe(
          `Write ${lie.digest}: the bytes that arrived are ${Digest.ofBytes(lie.bytes)}`,
        );
        const { digest } = fresh(30);
        expect(await store.findMissing([...blobs.map((blob) => blob.digest), digest])).toEqual([
          lie.digest,
          digest,
        ]);
        for (const blob of blobs) {
          if (blob !== lie) expect((await readAll(store, blob.digest))?.equals(blob.bytes)).toBe(true);
        }
      }
      expect(await writeAll(store, [])).toEqual([]);
    });

    it('takes several that many write at once', async () => {
      const blobs = Array.from({ length: 300 }, (_, at) => fresh(100 + at));
      const all = await Promise.all(Array.from({ length: 4 }, () => writeAll(store, blobs)));
      expect(all.flat()).toEqual(Array.from({ length: 1200 }, () => undefined));
      for (const { bytes, digest } of blobs.slice(0, 20)) {
        expect((await readAll(store, digest))?.equals(bytes)).toBe(true);
      }
    });

    it('reads several at once, each for itself, and gives them in order', async () => {
      const [small, large, absent, other] = [fresh(100), fresh(3000 * KIB), fresh(50), fresh(64 * KIB)];
      const empty = { digest: Digest.ofBytes(Buffer.alloc(0)), bytes: Buffer.alloc(0) };
      for (const { digest, bytes } of [small, large, other]) await store.write(digest, inPieces(bytes));
      for (const others of [[large, empty], [large], []]) {
        const blobs = [small, absent, ...others, other, small];
        const outcomes = await readSeveral(
          store,
          blobs.map(({ digest }) => digest),
        );
        expect(outcomes).toHaveLength(blobs.length);
        for (const [at, blob] of blobs.entries()) {
          const outcome = outcomes[at];
          if (blob === absent) expect(outcome).toBeUndefined();
          else expect(outcome instanceof Uint8Array && Buffer.from(blob.bytes).equals(outcome)).toBe(true);
        }
        // The bytes are the reader's own.
        for (const outcome of outcomes) if (outcome instanceof Uint8Array) outcome.fill(0);
      }
      expect((await readAll(store, small.digest))?.equals(small.bytes)).toBe(true);
      expect(await readSeveral(store, [])).toEqual([]);
    });

    it('does not begin when its signal has aborted', async () => {
      const { bytes, digest } = fresh(30);
      const signal = AbortSignal.abort(cancelled('too late'));
      const refusal = { code: Code.CANCELLED, message: 'too late' };
      await expect(store.write(digest, bytesOf(bytes), { signal })).rejects.toMatchObject(refusal);
      await expect(store.findMissing([digest], { signal })).rejects.toMatchObject(refusal);
      expect(await store.findMissing([digest])).toEqual([digest]);
    });

    it('stops reading when its signal aborts, or the reader leaves', async () => {
      const { bytes, digest } = fresh(3000 * KIB);
      await store.write(digest, inPieces(bytes, 100_000));
      const controller = new AbortController();
      const source = await store.read(digest, undefined, { signal: controller.signal });
      await expect(async () => {
        for await (const _chunk of source ?? []) controller.abort(cancelled('enough'));
      }).rejects.toMatchObject({ code: Code.CANCELLED, message: 'enough' });
      for await (const chunk of (await store.read(digest)) ?? []) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
    });
  });
}
