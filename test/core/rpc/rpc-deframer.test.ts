import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Deframer, type RawMessage } from '../../../core/rpc/rpc-deframer.ts';
import { wireMessage } from '../../setup/raw-grpc.ts';

const LIMIT = 300_000;

/** The bytes cut at these places, whatever order they come in. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [
    0,
    ...places.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b),
    bytes.length,
  ];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

/** Each chunk is lent: by the next one its bytes are others. */
function read(chunks: readonly Buffer[]): { messages: RawMessage[]; deframer: Deframer } {
  const deframer = new Deframer(LIMIT);
  const messages = chunks.flatMap((chunk) => {
    const lent = Buffer.from(chunk);
    const whole = deframer.push(lent);
    lent.fill(0xff);
    return whole;
  });
  return { messages, deframer };
}

describe('Deframer', () => {
  it('gives the messages back however the stream was cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ bytes: fc.uint8Array({ maxLength: 60 }), compressed: fc.boolean() }), {
          maxLength: 6,
        }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (sent, places) => {
          const wire = Buffer.concat(
            sent.map(({ bytes, compressed }) => wireMessage(bytes, compressed ? 1 : 0)),
          );
          const { messages, deframer } = read(cut(wire, places));
          expect(messages.map(({ compressed, bytes }) => ({ compressed, bytes: [...bytes] }))).toEqual(
            sent.map(({ compressed, bytes }) => ({ compressed, bytes: [...bytes] })),
          );
          expect(deframer.partialBytes).toBe(0);
        },
      ),
    );
  });

  it('puts a large message together from small chunks', () => {
    const message = Buffer.from(Array.from({ length: LIMIT }, (_, index) => index % 251));
    const wire = wireMessage(message);
    const places = Array.from({ length: Math.ceil(wire.length / 1000) }, (_, index) => index * 1000);
    const { messages } = read(cut(wire, places));
    expect(messages).toHaveLength(1);
    expect(Buffer.compare(Buffer.from(messages[0]!.bytes), message)).toBe(0);
  });

  it('counts the bytes of a message that is not whole', () => {
    expect(read([wireMessage(Buffer.alloc(10)).subarray(0, 3)]).deframer.partialBytes).toBe(3);
    expect(read([wireMessage(Buffer.alloc(10)).subarray(0, 5)]).deframer.partialBytes).toBe(5);
    expect(read([wireMessage(Buffer.alloc(10)).subarray(0, 14)]).deframer.partialBytes).toBe(14);
  });

  it('accepts a message of exactly the limit, and refuses one byte more by its header alone', () => {
    expect(read([wireMessage(Buffer.alloc(LIMIT))]).messages[0]!.bytes).toHaveLength(LIMIT);
    expect(() => read([wireMessage(Buffer.alloc(LIMIT + 1)).subarray(0, 5)])).toThrow(
      expect.objectContaining({
        code: 8,
        message: 'Read a gRPC message: it has 300001 bytes, the limit is 300000',
      }),
    );
  });

  it('refuses flags it does not know', () => {
    expect(() => read([wireMessage(Buffer.alloc(1), 2)])).toThrow(
      expect.objectContaining({
        code: 13,
        message: 'Read a gRPC message: its flags are 2, expected 0 or 1 (compressed)',
      }),
    );
  });

  it('does not take the memory that a length only announces', () => {
    const before = process.memoryUsage().arrayBuffers;
    const deframers = Array.from({ length: 100 }, () => {
      const deframer = new Deframer(2 ** 26);
      const header = wireMessage(Buffer.alloc(0));
      header.writeUInt32BE(2 ** 26, 1);
      deframer.push(Buffer.concat([header, Buffer.alloc(1)]));
      return deframer;
    });
    expect(deframers).toHaveLength(100);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * 2 ** 18);
  });
});
