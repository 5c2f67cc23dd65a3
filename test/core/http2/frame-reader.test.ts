import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader, type FrameSink } from '../../../core/http2/frame-reader.ts';
import { FrameWriter } from '../../../core/http2/frame-writer.ts';
import { frame, PREFACE, TYPE } from '../../setup/frame-client.ts';

/** Writes down what it is told, DATA of one frame joined. */
class Notes implements FrameSink {
  readonly seen: string[] = [];
  #data = '';

  onFrame(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): void {
    this.seen.push(`${type}/${flags}/${stream}:${bytes.toString('hex', start, end)}`);
  }

  onDataStart(stream: number, bytes: number): void {
    this.#data = `data/${stream}/${bytes}:`;
  }

  onDataBytes(bytes: Buffer, start: number, end: number): void {
    this.#data += bytes.toString('hex', start, end);
  }

  onDataEnd(endStream: boolean): void {
    this.seen.push(`${this.#data}${endStream ? '.' : ''}`);
  }
}

function read(bytes: Buffer, places: readonly number[] = [], frameBytesMax = 1000): string[] {
  const notes = new Notes();
  const reader = new FrameReader(notes, { frameBytesMax });
  const whole = Buffer.concat([Buffer.from(PREFACE), bytes]);
  const cuts = [0, ...places.map((place) => place % whole.length).sort((a, b) => a - b), whole.length];
  for (let at = 1; at < cuts.length; at++) reader.push(whole.subarray(cuts[at - 1], cuts[at]));
  return notes.seen;
}

const padded = (bytes: Buffer, padding: number): Buffer =>
  Buffer.concat([Buffer.from([padding]), bytes, Buffer.alloc(padding)]);

describe('FrameReader', () => {
  const frames = fc.array(
    fc.record({
      type: fc.integer({ min: 0, max: 12 }),
      end: fc.boolean(),
      padding: fc.option(fc.integer({ min: 0, max: 255 })),
      stream: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
      payload: fc.uint8Array({ maxLength: 60 }),
    }),
    { maxLength: 8 },
  );

  it('gives the frames however the bytes were cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(), { maxLength: 20 }), (sent, places) => {
        const wire: Buffer[] = [];
        const expected: string[] = [];
        for (const { type, end, padding, stream, payload } of sent) {
          const bytes = Buffer.from(payload);
          const flags = (end ? 1 : 0) | (padding === null ? 0 : 8);
          const body = padding === null ? bytes : padded(bytes, padding);
          wire.push(frame(type, flags, stream, body));
          expected.push(
            type === TYPE.data
              ? `data/${stream}/${body.length}:${bytes.toString('hex')}${end ? '.' : ''}`
              : `${type}/${flags}/${stream}:${body.toString('hex')}`,
          );
        }
        expect(read(Buffer.concat(wire), places)).toEqual(expected);
      }),
    );
  });

  it('gives them when every byte comes alone', () => {
    const wire = Buffer.concat([
      frame(TYPE.headers, 4, 1, Buffer.from([1, 2, 3])),
      frame(TYPE.data, 9, 1, padded(Buffer.from([4, 5]), 3)),
      frame(TYPE.settings, 1, 0),
    ]);
    const all = Array.from({ length: wire.length + PREFACE.length }, (_, at) => at);
    expect(read(wire, all)).toEqual(['1/4/1:010203', 'data/1/6:0405.', '4/1/0:']);
  });

  it('stops where it is told to, with the rest of the chunk unread', () => {
    const notes = new Notes();
    const reader = new FrameReader(notes, { frameBytesMax: 100 });
    notes.onDataEnd = () => reader.stop();
    reader.push(Buffer.concat([Buffer.from(PREFACE), frame(0, 0, 1), frame(6, 0, 0), frame(6, 0, 0)]));
    reader.push(frame(6, 0, 0));
    expect(notes.seen).toEqual([]);
  });

  it.each([
    [
      'a long frame',
      frame(TYPE.headers, 0, 1, Buffer.alloc(1001)),
      6,
      'a frame has 1001 bytes, the limit is 1000',
    ],
    [
      'a long DATA frame',
      frame(TYPE.data, 0, 1, Buffer.alloc(1001)),
      6,
      'a frame has 1001 bytes, the limit is 1000',
    ],
    [
      'too much padding',
      frame(TYPE.data, 8, 1, Buffer.from([3, 0, 0])),
      1,
      'a frame is shorter than its padding',
    ],
    ['no padding length', frame(TYPE.data, 8, 1), 6, 'a padded frame lacks the length of its padding'],
  ])('refuses %s', (_, bytes, code, message) => {
    expect(() => read(bytes)).toThrow(expect.objectContaining({ code, message }));
  });

  it('refuses what does not begin with the preface, at the first byte that differs', () => {
    const reader = new FrameReader(new Notes(), { frameBytesMax: 100 });
    reader.push(Buffer.from('PRI * HT'));
    expect(() => reader.push(Buffer.from('X'))).toThrow(
      expect.objectContaining({ code: 1, message: 'the client does not begin with the preface of HTTP/2' }),
    );
  });
});

describe('FrameWriter', () => {
  const take = (writer: FrameWriter): Buffer => Buffer.concat(writer.take());

  it('writes frames that a reader reads, and cuts a long header block', () => {
    const writer = new FrameWriter();
    writer.headers(1, Buffer.from([1, 2, 3, 4, 5]), true, 2);
    writer.data(3, Buffer.from([0, 9, 9, 0]), 1, 3);
    writer.endStream(3);
    writer.reset(5, 8);
    writer.windowUpdate(0, 0x01020304);
    writer.settings([[3, 7]]);
    writer.settingsAck();
    writer.ping(Buffer.alloc(8, 1), 0, 8, true);
    writer.goAway(9, 11, 'no');
    expect(read(take(writer))).toEqual([
      '1/1/1:0102',
      '9/0/1:0304',
      '9/4/1:05',
      'data/3/2:0909',
      'data/3/0:.',
      '3/0/5:00000008',
      '8/0/0:01020304',
      '4/0/0:000300000007',
      '4/1/0:',
      '6/1/0:0101010101010101',
      '7/0/0:000000090000000b6e6f',
    ]);
    expect(writer.take()).toEqual([]);
  });

  it('never writes again to what was taken, and sends a large payload without a copy', () => {
    const writer = new FrameWriter();
    const taken: Uint8Array[] = [];
    const copies: Buffer[] = [];
    const payload = Buffer.alloc(5000, 7);
    for (let round = 0; round < 2000; round++) {
      writer.data(round, payload, 0, round % 3 === 0 ? 5000 : round % 50);
      const bytes = writer.bytes;
      const parts = writer.take();
      expect(parts.reduce((sum, part) => sum + part.length, 0)).toBe(bytes);
      if (round % 3 === 0) expect(parts[1]?.buffer).toBe(payload.buffer);
      taken.push(...parts);
      copies.push(...parts.map((part) => Buffer.from(part)));
    }
    expect(Buffer.concat(taken).equals(Buffer.concat(copies))).toBe(true);
  });

  it('takes a payload longer than its blocks', () => {
    const writer = new FrameWriter();
    writer.headers(1, Buffer.alloc(20_000, 5), false, 65_536);
    writer.headers(3, Buffer.alloc(10, 6), false, 65_536);
    const bytes = take(writer);
    expect(bytes.length).toBe(20_000 + 10 + 18);
    expect(bytes.subarray(-10)).toEqual(Buffer.alloc(10, 6));
  });
});
