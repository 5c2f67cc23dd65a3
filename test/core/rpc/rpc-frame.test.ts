import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messageMemory } from '../../../core/message-memory.ts';
import { ByteStreamDefinition } from '../../../core/rpc/byte-stream-definition.ts';
import { MessageFramer } from '../../../core/rpc/rpc-frame.ts';
import type { MessageCodec } from '../../../core/rpc/rpc-service.ts';
import { ReadResponse, WriteRequest } from '../../../proto/gen/google/bytestream/bytestream.ts';
import { StringValue } from '../../../proto/gen/google/protobuf/wrappers.ts';
import { PreconditionFailure_Violation } from '../../../proto/gen/google/rpc/error_details.ts';
import { wireMessage } from '../../setup/raw-grpc.ts';

const frameMessage = <T>(codec: MessageCodec<T>, message: T) =>
  new MessageFramer().frame(codec, message).parts;

describe('MessageFramer', () => {
  it('frames one message after the other, small and large', () => {
    const framer = new MessageFramer();
    for (const length of [0, 1, 100, 20_000, 3, 200_000, 5, 70_000, 0]) {
      const message = { value: 'x'.repeat(length) };
      const frame = Buffer.concat(framer.frame(StringValue, message).parts);
      expect(frame.equals(wireMessage(StringValue.encode(message).finish()))).toBe(true);
    }
  });

  it('does not share the memory of its frames', () => {
    const framer = new MessageFramer();
    const first = framer.frame(StringValue, { value: 'first' });
    framer.frame(StringValue, { value: 'other' });
    expect(Buffer.concat(first.parts)).toEqual(wireMessage(StringValue.encode({ value: 'first' }).finish()));
  });

  it('says what memory of a frame serves again, and nothing of short ones', () => {
    const framer = new MessageFramer();
    const codec: MessageCodec<number> = {
      ...(StringValue as unknown as MessageCodec<number>),
      encodeParts: (length, take = Buffer.allocUnsafe) => [take(1), take(length)],
    };
    expect(framer.frame(codec, 20).lent).toBeUndefined();
    const { parts, lent } = framer.frame(codec, 20_000);
    expect(lent).toEqual([parts[1]]);
    expect(messageMemory.take(20_000).buffer).not.toBe(lent?.[0]?.buffer);
    expect(framer.frame(StringValue, { value: 'x' }).lent).toBeUndefined();
  });

  it('keeps nothing of a message that could not be encoded', () => {
    const framer = new MessageFramer();
    const broken: PreconditionFailure_Violation = {
      type: 'fine',
      subject: 'fine',
      get description(): string {
        throw new Error('not this one');
      },
    };
    expect(() => framer.frame(PreconditionFailure_Violation, broken)).toThrow('not this one');
    expect(framer.frame(StringValue, { value: 'x' }).parts).toEqual([
      Uint8Array.from([0, 0, 0, 0, 3, 0x0a, 1, 0x78]),
    ]);
  });
});

describe('ByteStreamDefinition', () => {
  it('sends data without a copy', () => {
    const data = Buffer.alloc(10, 1);
    expect(frameMessage(ByteStreamDefinition.methods.read.responseType, { data })[1]).toBe(data);
  });

  it('writes the same bytes as the generated codec', () => {
    const data = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(
        fc.record({
          resourceName: fc.string(),
          writeOffset: fc.maxSafeNat(),
          finishWrite: fc.boolean(),
          data,
        }),
        (message) => {
          const frame = frameMessage(ByteStreamDefinition.methods.write.requestType, message);
          expect([...Buffer.concat(frame)]).toEqual([...wireMessage(WriteRequest.encode(message).finish())]);
          expect(
            ByteStreamDefinition.methods.write.requestType.decode(
              Uint8Array.from(Buffer.concat(frame).subarray(5)),
            ),
          ).toEqual({
            ...message,
            resourceName: message.resourceName.toWellFormed(),
          });
        },
      ),
    );
    fc.assert(
      fc.property(fc.record({ data }), (message) => {
        const frame = frameMessage(ByteStreamDefinition.methods.read.responseType, message);
        expect([...Buffer.concat(frame)]).toEqual([...wireMessage(ReadResponse.encode(message).finish())]);
      }),
    );
  });
});
