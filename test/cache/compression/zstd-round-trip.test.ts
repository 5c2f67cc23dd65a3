import { zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CodecBudget } from '../../../cache/compression/codec-budget.ts';
import { compressedBytes } from '../../../cache/compression/compressed-bytes.ts';
import { decompressedBytes } from '../../../cache/compression/decompressed-bytes.ts';
import { rawZstdFrame } from '../../../cache/compression/raw-zstd-frame.ts';
import { frameBytesMax } from '../../../cache/compression/zstd-format.ts';
import { dataLoss } from '../../../core/error.ts';
import { bytesOf, collectBytes } from '../../../core/streams.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { rejection } from '../../setup/rejection.ts';
import { inPieces, sampleBytes } from '../bytes.ts';
import { compressibleBytes, runZstd, streamedFrame, zstdFrame } from './zstd-samples.ts';

const budget = new CodecBudget();
const BOUNDARIES = [0, 1, 255, 256, 65_791, 131_071, 131_072, 131_073, 262_144, 1_100_000];
const blobs = fc.record({
  sizeBytes: fc.oneof(fc.constantFrom(...BOUNDARIES), fc.nat(400_000)),
  seed: fc.nat(1000),
  compressible: fc.boolean(),
  pieceBytes: fc.integer({ min: 1000, max: 300_000 }),
});

function bytesFor({
  sizeBytes,
  seed,
  compressible,
}: {
  sizeBytes: number;
  seed: number;
  compressible: boolean;
}) {
  return compressible ? compressibleBytes(sizeBytes, seed) : sampleBytes(sizeBytes, seed);
}

function frameOf(source: AsyncIterable<Uint8Array>, sizeBytes: number): Promise<Buffer> {
  return collectBytes(source, { bytesMax: frameBytesMax(sizeBytes), what: 'the frame' });
}

async function decompressed(frame: AsyncIterable<Uint8Array>, sizeBytes: number): Promise<Buffer> {
  const owner = { attempt: 'Write it', sizeBytes };
  return collectBytes(await decompressedBytes(frame, { owner, budget }), { bytesMax: sizeBytes, what: 'it' });
}

function compress(source: AsyncIterable<Uint8Array>, sizeBytes: number): AsyncIterable<Uint8Array> {
  const permit = budget.compressor();
  if (permit === undefined) throw new Error('an earlier compressor was not given back');
  return compressedBytes(source, { sizeBytes, permit });
}

describe('zstd frames', () => {
  it('hold the bytes that went in, compressed or not, however they come', async () => {
    await fc.assert(
      fc.asyncProperty(blobs, async (blob) => {
        const bytes = bytesFor(blob);
        const { sizeBytes, pieceBytes } = blob;
        const frames = [
          await frameOf(compress(inPieces(bytes, pieceBytes), sizeBytes), sizeBytes),
          await frameOf(rawZstdFrame(inPieces(bytes, pieceBytes), sizeBytes), sizeBytes),
          zstdFrame(bytes),
          await streamedFrame(bytes),
        ];
        for (const frame of frames) {
          expect(zstdDecompressSync(frame).equals(bytes)).toBe(true);
          expect((await decompressed(bytesOf(frame), sizeBytes)).equals(bytes)).toBe(true);
          expect((await decompressed(inPieces(frame, pieceBytes), sizeBytes)).equals(bytes)).toBe(true);
        }
      }),
      { numRuns: 40 },
    );
  });

  it.each(BOUNDARIES)(
    'are read by the zstd program and read what it makes, with %i bytes',
    async (sizeBytes) => {
      const bytes = compressibleBytes(sizeBytes);
      const raw = await frameOf(rawZstdFrame(inPieces(bytes, 50_000), sizeBytes), sizeBytes);
      const compressed = await frameOf(compress(inPieces(bytes), sizeBytes), sizeBytes);
      for (const frame of [raw, compressed]) {
        expect((await runZstd(['--decompress'], frame)).equals(bytes)).toBe(true);
      }
      const theirs = await runZstd(['-19'], bytes);
      expect((await decompressed(inPieces(theirs), sizeBytes)).equals(bytes)).toBe(true);
    },
  );

  it('of raw blocks are larger by their framing alone', async () => {
    const bytes = sampleBytes(1_000_000);
    const frame = await frameOf(rawZstdFrame(inPieces(bytes, 131_072), bytes.byteLength), bytes.byteLength);
    expect(frame.byteLength).toBe(bytes.byteLength + 14 + 8 * 3);
  });

  it('end with the error of their source, and before their end', async () => {
    async function* broken() {
      yield compressibleBytes(300_000);
      throw dataLoss('the file is damaged');
    }
    for (const frame of [compress(broken(), 400_000), rawZstdFrame(broken(), 400_000)]) {
      const error = await rejection(frameOf(frame, 400_000));
      expect(error).toMatchObject({ code: Code.DATA_LOSS, message: 'the file is damaged' });
    }
  });

  it('give their compressor back when nobody reads on', async () => {
    for (let round = 0; round < 40; round += 1) {
      for await (const _ of compress(inPieces(compressibleBytes(300_000)), 300_000)) break;
    }
  });
});

describe('decompressedBytes', () => {
  const SIZE = 1_000_000;

  it.each([
    ['in one piece', (frame: Buffer) => bytesOf(frame)],
    ['in pieces', (frame: Buffer) => inPieces(frame)],
  ])('stops at the first byte too many, %s', async (_name, source) => {
    const bomb = await streamedFrame(Buffer.alloc(50_000_000));
    const error = await rejection(decompressed(source(bomb), SIZE));
    expect(error).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: `Write it: more than ${SIZE} bytes arrived`,
    });
  });

  it.each([
    ['in one piece', (frame: Buffer) => bytesOf(frame)],
    ['in pieces', (frame: Buffer) => inPieces(frame)],
  ])('refuses a frame whose checksum is not that of its bytes, %s', async (_name, source) => {
    const frame = await runZstd(['--check'], compressibleBytes(SIZE));
    frame.writeUInt8(frame.readUInt8(frame.byteLength - 1) ^ 1, frame.byteLength - 1);
    const error = await rejection(decompressed(source(frame), SIZE));
    expect(error).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message:
        "Write it: the bytes that arrived are not one sound zstd frame: Restored data doesn't match checksum",
    });
  });

  it('passes the error of its source on', async () => {
    const frame = zstdFrame(compressibleBytes(SIZE));
    async function* broken() {
      yield frame.subarray(0, 1000);
      throw dataLoss('the client is gone');
    }
    expect(await rejection(decompressed(broken(), SIZE))).toMatchObject({ message: 'the client is gone' });
  });

  it('asks to come again when no decompressor is free in time', async () => {
    const full = new CodecBudget({
      compressorsMax: 1,
      decompressorsMax: 1,
      largeDecompressorsMax: 1,
      waitMs: 10,
    });
    const options = { owner: { attempt: 'Write it', sizeBytes: SIZE }, budget: full };
    const frame = zstdFrame(compressibleBytes(SIZE));
    const read = async () =>
      collectBytes(await decompressedBytes(inPieces(frame), options), { bytesMax: SIZE, what: 'it' });
    {
      using _taken = await full.decompressor(1, {});
      const error = await rejection(read());
      expect(error).toMatchObject({
        code: Code.RESOURCE_EXHAUSTED,
        message: 'wait for a zstd decompressor: none was free within 10 ms',
      });
      expect(error.details).toHaveLength(1);
    }
    expect((await read()).byteLength).toBe(SIZE);
  });
});
