import { describe, expect, it } from 'vitest';
import { WINDOW_LOG_MAX } from '../../../cache/compression/zstd-format.ts';
import { ZstdFrameCheck } from '../../../cache/compression/zstd-frame-check.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { thrown } from '../../setup/rejection.ts';
import { compressibleBytes, runZstd, streamedFrame, zstdFrame } from './zstd-samples.ts';

const SIZE = 100_000;
const bytes = compressibleBytes(SIZE);
const frame = zstdFrame(bytes);

function check(data: Uint8Array, { sizeBytes = SIZE, pieceBytes = data.byteLength || 1 } = {}) {
  const frameCheck = new ZstdFrameCheck({ attempt: 'Write it', sizeBytes });
  for (let at = 0; at < data.byteLength; at += pieceBytes)
    frameCheck.push(data.subarray(at, at + pieceBytes));
  frameCheck.end();
  return frameCheck;
}

/** A header of our making: magic number, descriptor, and what it asks for. */
function header(descriptor: number, ...rest: number[]): Buffer {
  return Buffer.from([0x28, 0xb5, 0x2f, 0xfd, descriptor, ...rest]);
}

const LAST_EMPTY_BLOCK = [1, 0, 0];

describe('ZstdFrameCheck', () => {
  it.each([
    ['of a whole blob', async () => frame],
    ['that does not say its size', () => streamedFrame(bytes)],
    ['with the largest window', () => streamedFrame(bytes, WINDOW_LOG_MAX)],
    ['of the zstd program', () => runZstd(['-3'], bytes)],
    ['of the zstd program at level 19', () => runZstd(['-19'], bytes)],
    ['of the zstd program without checksum', () => runZstd(['--no-check'], bytes)],
    ['with runs in place of blocks', async () => zstdFrame(Buffer.alloc(SIZE))],
  ])('passes a frame %s, in one piece and byte by byte', async (_name, make) => {
    const sound = await make();
    expect(check(sound).seenBytes).toBe(sound.byteLength);
    expect(check(sound, { pieceBytes: 1 }).seenBytes).toBe(sound.byteLength);
    expect(check(sound, { pieceBytes: 7 }).header?.contentBytes ?? SIZE).toBe(SIZE);
  });

  it('passes the frame of the empty blob', () => {
    expect(check(zstdFrame(Buffer.alloc(0)), { sizeBytes: 0 }).header?.contentBytes).toBe(0);
  });

  it.each<[string, () => Promise<Uint8Array> | Uint8Array, string]>([
    ['nothing', () => Buffer.alloc(0), 'it is cut off after 0 bytes'],
    ['something else', () => bytes, 'it does not begin like one'],
    ['half a magic number', () => frame.subarray(0, 3), 'it is cut off after 3 bytes'],
    [
      'a cut frame',
      () => frame.subarray(0, frame.byteLength - 1),
      `it is cut off after ${frame.byteLength - 1} bytes`,
    ],
    ['two frames', () => Buffer.concat([frame, frame]), 'something follows its end'],
    ['trailing junk', () => Buffer.concat([frame, Buffer.from([0])]), 'something follows its end'],
    [
      'a skippable frame before',
      () => Buffer.concat([Buffer.from([0x5f, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9]), frame]),
      'it begins with a skippable frame',
    ],
    [
      'a skippable frame behind',
      () => Buffer.concat([frame, Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0])]),
      'something follows its end',
    ],
    [
      'a window of 2^31',
      () => header(0, (31 - 10) << 3, ...LAST_EMPTY_BLOCK),
      'its window has 2147483648 bytes, at most 8388608 are accepted',
    ],
    [
      'a window one step too large',
      () => header(0, ((23 - 10) << 3) | 1, ...LAST_EMPTY_BLOCK),
      'its window has 9437184 bytes, at most 8388608 are accepted',
    ],
    [
      'a window of the zstd program at --ultra -22',
      () => runZstd(['--ultra', '-22', '--long=24'], bytes),
      'its window has 16777216 bytes, at most 8388608 are accepted',
    ],
    ['a dictionary', () => header(0b01, 0, 77, ...LAST_EMPTY_BLOCK), 'it needs the dictionary 77'],
    ['the reserved bit', () => header(0b1000, 0, ...LAST_EMPTY_BLOCK), 'its header has the reserved bit set'],
    [
      'another size',
      () => zstdFrame(bytes.subarray(1)),
      `it says that it holds ${SIZE - 1} bytes, expected ${SIZE}`,
    ],
    ['a block of the reserved type', () => header(0, 0, 0b110, 0, 0), 'it has a block of the reserved type'],
    ['a block that is too large', () => header(0, 0, 0, 0, 0xff), 'it has a block of 2088960 bytes'],
    [
      'blocks without end',
      () => Buffer.concat([header(0, 0), Buffer.alloc(600_000)]),
      'it has more than 171786 bytes, for a blob of 100000',
    ],
  ])('refuses %s', async (_name, make, why) => {
    const data = await make();
    const refusal = {
      code: Code.INVALID_ARGUMENT,
      message: `Write it: the bytes that arrived are not one zstd frame: ${why}`,
    };
    expect(thrown(() => check(data))).toMatchObject(refusal);
    expect(thrown(() => check(data, { pieceBytes: 1 }))).toMatchObject(refusal);
  });
});
