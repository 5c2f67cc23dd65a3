import { expect, test } from 'vitest';
import { bytesOf } from '../../../core/streams.ts';
import { encodeFrame, FRAME_BYTES_MAX, readFrames } from '../../../worker/launcher/frame.ts';
import { rejection } from '../../setup/rejection.ts';

async function framesOf(...chunks: Uint8Array[]): Promise<string[]> {
  const frames: string[] = [];
  for await (const frame of readFrames(bytesOf(...chunks))) frames.push(Buffer.from(frame).toString());
  return frames;
}

const STREAM = Buffer.concat(['one', '', 'three'].map((text) => encodeFrame(Buffer.from(text))));

test('messages survive any cut of the stream', async () => {
  for (let cut = 0; cut <= STREAM.byteLength; cut += 1) {
    expect(await framesOf(STREAM.subarray(0, cut), STREAM.subarray(cut))).toEqual(['one', '', 'three']);
  }
  const bytes = Array.from(STREAM, (byte) => Buffer.from([byte]));
  expect(await framesOf(...bytes)).toEqual(['one', '', 'three']);
});

test('a stream that ends within a frame is an error', async () => {
  const error = await rejection(framesOf(STREAM.subarray(0, 6)));
  expect(error.message).toBe('launcher: the stream ends 2 bytes into a frame');
});

test('a frame over the limit is refused before it is read', async () => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(FRAME_BYTES_MAX + 1);
  const error = await rejection(framesOf(head));
  expect(error.message).toBe('launcher: a frame of 16777217 bytes, at most 16777216 are accepted');
});
