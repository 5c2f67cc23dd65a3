import { zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CodecBudget, defaultCodecLimits } from '../../../cache/compression/codec-budget.ts';
import type { FormRecord, FormRecords } from '../../../cache/compression/form-records.ts';
import { rawZstdFrame } from '../../../cache/compression/raw-zstd-frame.ts';
import { StoredForms } from '../../../cache/compression/stored-forms.ts';
import { Digest } from '../../../core/digest.ts';
import { dataLoss, resourceExhausted } from '../../../core/error.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { bytesOf, collectBytes } from '../../../core/streams.ts';
import { Compressor_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { rejection } from '../../setup/rejection.ts';
import { inPieces, readAll, sampleBlob, sampleBytes } from '../bytes.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';
import { compressibleBlob, compressibleBytes, zstdFrame } from './zstd-samples.ts';

const { IDENTITY, ZSTD } = Compressor_Value;

class MemoryFormRecords implements FormRecords {
  readonly records = new Map<string, FormRecord>();

  async get(digest: Digest): Promise<FormRecord | undefined> {
    return this.records.get(digest.key);
  }

  async put(digest: Digest, record: FormRecord): Promise<void> {
    this.records.set(digest.key, record);
  }
}

/** Forms in memory; says how often one was stored. */
class MemoryFormStore extends MemoryBlobStore {
  stored = 0;
  full = false;

  async ingest(source: AsyncIterable<Uint8Array>): Promise<Digest> {
    if (this.full) throw resourceExhausted('no space is left');
    const bytes = await collectBytes(source, { bytesMax: 2 ** 30, what: 'a form' });
    const digest = Digest.ofBytes(bytes);
    this.blobs.set(digest.key, bytes);
    this.stored += 1;
    return digest;
  }
}

function openForms(limits = defaultCodecLimits) {
  const records = new MemoryFormRecords();
  const formStore = new MemoryFormStore();
  const store = new MemoryBlobStore();
  const budget = new CodecBudget(limits);
  const forms = new StoredForms({ records, formStore, budget, logger: silentLogger });
  return {
    records,
    formStore,
    store,
    budget,
    forms,
    /** What is read and in which form, when all that follows from it is done. */
    async read(digest: Digest, offset = 0) {
      const encoded = await forms.read({ digest, store }, offset, {});
      if (encoded === undefined) return undefined;
      const data = await collectBytes(encoded.source, { bytesMax: 2 ** 30, what: 'a form' });
      await forms.close();
      const bytes = encoded.compressor === ZSTD ? zstdDecompressSync(data) : data;
      return { ...encoded, data, bytes };
    },
    async write(digest: Digest, frame: AsyncIterable<Uint8Array>) {
      await forms.write({ digest, store }, frame, {});
      await forms.close();
    },
    [Symbol.asyncDispose]: () => forms.close(),
  };
}

describe('StoredForms, read', () => {
  it('compresses a blob the first time and sends what it kept from then on', async () => {
    await using cache = openForms();
    const { bytes, digest } = compressibleBlob(500_000);
    await cache.store.write(digest, bytesOf(bytes));
    const first = await cache.read(digest);
    expect(first).toMatchObject({ compressor: ZSTD, sizeBytes: undefined });
    expect(first?.bytes.equals(bytes)).toBe(true);
    expect(first?.data.byteLength).toBeLessThan(250_000);
    const second = await cache.read(digest);
    expect(second).toMatchObject({ compressor: ZSTD, sizeBytes: first?.data.byteLength });
    expect(second?.data.equals(first?.data ?? Buffer.alloc(0))).toBe(true);
    expect(cache.store.reads).toBe(1);
    expect(cache.formStore.stored).toBe(1);
  });

  it('remembers that a blob does not compress, and keeps no form of it', async () => {
    await using cache = openForms();
    const { bytes, digest } = sampleBlob(500_000);
    await cache.store.write(digest, bytesOf(bytes));
    expect((await cache.read(digest))?.bytes.equals(bytes)).toBe(true);
    expect(cache.records.records.get(digest.key)).toBe('incompressible');
    const second = await cache.read(digest);
    expect(second).toMatchObject({ compressor: IDENTITY, sizeBytes: 500_000 });
    expect(second?.bytes.equals(bytes)).toBe(true);
    expect(cache.formStore.stored).toBe(0);
  });

  it('sends small blobs as they are', async () => {
    await using cache = openForms();
    const { bytes, digest } = compressibleBlob(1023);
    await cache.store.write(digest, bytesOf(bytes));
    expect(await cache.read(digest)).toMatchObject({ compressor: IDENTITY, bytes });
    expect(cache.records.records.size).toBe(0);
  });

  it('makes a form anew that was evicted', async () => {
    await using cache = openForms();
    const { bytes, digest } = compressibleBlob(500_000);
    await cache.store.write(digest, bytesOf(bytes));
    await cache.read(digest);
    cache.formStore.blobs.clear();
    expect((await cache.read(digest))?.bytes.equals(bytes)).toBe(true);
    expect((await cache.read(digest))?.sizeBytes).toBeGreaterThan(0);
    expect(cache.formStore.stored).toBe(2);
  });

  it('asks to come again when the form turns out damaged', async () => {
    await using cache = openForms();
    const { bytes, digest } = compressibleBlob(500_000);
    await cache.store.write(digest, bytesOf(bytes));
    await cache.read(digest);
    cache.formStore.read = async () =>
      (async function* () {
        yield Buffer.from('half');
        throw dataLoss('the file is damaged');
      })();
    const error = await rejection(cache.read(digest));
    expect(error).toMatchObject({
      code: Code.UNAVAILABLE,
      message: `Read ${digest}: its compressed form was damaged and is gone; try again`,
    });
    expect(error.details).toHaveLength(1);
  });

  it('gives nothing of a blob that the store does not show, though its form is here', async () => {
    await using cache = openForms();
    const { bytes, digest } = compressibleBlob(500_000);
    await cache.store.write(digest, bytesOf(bytes));
    await cache.read(digest);
    cache.store.blobs.delete(digest.key);
    expect(await cache.read(digest)).toBeUndefined();
    expect(await cache.read(compressibleBlob(5000, 3).digest)).toBeUndefined();
  });

  it('makes one form at a time of a blob; who asks meanwhile gets it as it is', async () => {
    await using cache = openForms();
    const { bytes, digest } = compressibleBlob(500_000);
    await cache.store.write(digest, bytesOf(bytes));
    const reads = await Promise.all(Array.from({ length: 8 }, () => cache.read(digest)));
    for (const read of reads) expect(read?.bytes.equals(bytes)).toBe(true);
    expect(cache.formStore.stored).toBe(1);
  });

  it('makes no second form when one is filed while the record of none is looked up', async () => {
    await using cache = openForms();
    const { bytes, digest } = compressibleBlob(500_000);
    await cache.store.write(digest, bytesOf(bytes));
    const looked = Promise.withResolvers<void>();
    const making = await cache.forms.read({ digest, store: cache.store }, 0, {});
    const pieces = making?.source[Symbol.asyncIterator]();
    await pieces?.next();
    cache.records.get = async () => {
      await looked.promise;
      return undefined;
    };
    const asking = cache.forms.read({ digest, store: cache.store }, 0, {});
    while (!(await pieces?.next())?.done);
    await cache.forms.close();
    looked.resolve();
    expect(await asking).toMatchObject({ compressor: IDENTITY });
  });

  it('sends a blob as it is when all compressors are taken', async () => {
    await using cache = openForms({ ...defaultCodecLimits, compressorsMax: 1 });
    const { bytes, digest } = compressibleBlob(500_000);
    await cache.store.write(digest, bytesOf(bytes));
    {
      using _taken = cache.budget.compressor();
      expect(await cache.read(digest)).toMatchObject({ compressor: IDENTITY });
    }
    expect(await cache.read(digest)).toMatchObject({ compressor: ZSTD });
  });

  it('keeps no form of a blob that was not read to its end, or was damaged', async () => {
    await using cache = openForms();
    const { bytes, digest } = compressibleBlob(2_000_000);
    await cache.store.write(digest, bytesOf(bytes));
    const encoded = await cache.forms.read({ digest, store: cache.store }, 0, {});
    for await (const _ of encoded?.source ?? []) break;
    cache.store.read = async () =>
      (async function* () {
        yield bytes.subarray(0, 1_000_000);
        throw dataLoss('the file is damaged');
      })();
    expect(await rejection(cache.read(digest))).toMatchObject({ code: Code.DATA_LOSS });
    await cache.forms.close();
    expect(cache.records.records.size).toBe(0);
    expect(cache.formStore.blobs.size).toBe(1);
  });

  it('goes on without keeping when the disk is full', async () => {
    await using cache = openForms();
    const { bytes, digest } = compressibleBlob(3_000_000);
    await cache.store.write(digest, bytesOf(bytes));
    cache.formStore.full = true;
    expect((await cache.read(digest))?.bytes.equals(bytes)).toBe(true);
    expect(cache.records.records.size).toBe(0);
  });

  it('gives what was written, from any offset, the first time and later', async () => {
    await using cache = openForms();
    const sizes = fc.oneof(fc.constantFrom(0, 1, 1024, 131_072, 524_288, 524_289), fc.nat(700_000));
    await fc.assert(
      fc.asyncProperty(
        sizes,
        fc.nat(99),
        fc.boolean(),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (sizeBytes, seed, compressible, part) => {
          const bytes = compressible ? compressibleBytes(sizeBytes, seed) : sampleBytes(sizeBytes, seed);
          const digest = Digest.ofBytes(bytes);
          await cache.store.write(digest, bytesOf(bytes));
          const offset = Math.floor(part * sizeBytes);
          for (const from of [0, 0, offset, sizeBytes]) {
            expect((await cache.read(digest, from))?.bytes.equals(bytes.subarray(from))).toBe(true);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('refuses an offset behind the end', async () => {
    await using cache = openForms();
    const { bytes, digest } = compressibleBlob(5000);
    await cache.store.write(digest, bytesOf(bytes));
    expect(await rejection(cache.read(digest, 5001))).toMatchObject({ code: Code.OUT_OF_RANGE });
  });
});

describe('StoredForms, write', () => {
  it.each([
    ['in one piece', (frame: Buffer) => bytesOf(frame)],
    ['in pieces', (frame: Buffer) => inPieces(frame)],
  ])('stores the blob and keeps the frame it came in, %s', async (_name, source) => {
    await using cache = openForms();
    const { bytes, digest } = compressibleBlob(500_000);
    const frame = zstdFrame(bytes, 9);
    await cache.write(digest, source(frame));
    expect((await readAll(cache.store, digest))?.equals(bytes)).toBe(true);
    const read = await cache.read(digest);
    expect(read?.data.equals(frame)).toBe(true);
    expect(read?.sizeBytes).toBe(frame.byteLength);
  });

  it('keeps no frame that saves too little', async () => {
    await using cache = openForms();
    const { bytes, digest } = compressibleBlob(500_000);
    await cache.write(digest, rawZstdFrame(bytesOf(bytes), bytes.byteLength));
    expect((await readAll(cache.store, digest))?.equals(bytes)).toBe(true);
    expect(cache.records.records.size).toBe(0);
    expect(cache.formStore.stored).toBe(0);
  });

  it('keeps nothing of a frame with other bytes', async () => {
    await using cache = openForms();
    const { digest } = compressibleBlob(500_000);
    const other = compressibleBytes(500_000, 5);
    for (const frame of [bytesOf(zstdFrame(other)), inPieces(zstdFrame(other))]) {
      const error = await rejection(cache.write(digest, frame));
      expect(error).toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message: `Write ${digest}: the bytes that arrived are ${Digest.ofBytes(other)}`,
      });
    }
    await cache.forms.close();
    expect(cache.store.blobs.size).toBe(1);
    expect(cache.records.records.size).toBe(0);
  });

  it('keeps no frame that the store did not look at', async () => {
    await using cache = openForms();
    const { digest } = compressibleBlob(500_000);
    const other = zstdFrame(compressibleBytes(500_000, 5));
    cache.store.write = async () => undefined;
    for (const frame of [bytesOf(other), inPieces(other)]) await cache.write(digest, frame);
    expect(cache.records.records.size).toBe(0);
  });
});
