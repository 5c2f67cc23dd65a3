import { BinaryWriter } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { expect } from 'vitest';
import { decodeStrictly } from '../../../../core/rpc/rpc-decode.ts';
import type { MessageCodec } from '../../../../core/rpc/rpc-service.ts';

/** Hashes as they should be, and as clients get them wrong. */
export const hashes = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(hexOf) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }).map(hexOf) },
  { weight: 1, arbitrary: fc.constantFrom('', 'F'.repeat(64), 'é'.repeat(32), 'g'.repeat(64)) },
);

/** Sizes of every length of a varint, negative ones too. */
export const sizes = fc.oneof(
  fc.constantFrom(0, 1, 127, 128, 2 ** 31, 2 ** 32, 2 ** 48, 2 ** 49, Number.MAX_SAFE_INTEGER, -1),
  fc.maxSafeNat(),
  fc.integer(),
);

/** A field and its value, encoded. */
export type Field = Uint8Array;

/** A field of this number: a varint, a string, bytes. */
export const field = {
  varint: (number: number, value: number): Field => new BinaryWriter().tag(number, 0).int64(value).finish(),
  bytes: (number: number, value: Uint8Array): Field =>
    new BinaryWriter().tag(number, 2).bytes(value).finish(),
  text: (number: number, value: string): Field => field.bytes(number, Buffer.from(value)),
};

/** What no version of these messages has. */
const unknownFields = fc.oneof(
  fc
    .tuple(fc.integer({ min: 16, max: 2000 }), fc.nat())
    .map(([number, value]) => field.varint(number, value)),
  fc
    .tuple(fc.integer({ min: 6, max: 20 }), fc.uint8Array({ maxLength: 9 }))
    .map(([number, value]) => field.bytes(number, value)),
);

/** An encoded message of these fields in any order, each as often as it comes, with an unknown one now and then. */
export function messageOf(...known: readonly fc.Arbitrary<Field>[]): fc.Arbitrary<Uint8Array> {
  const fields = fc.oneof(...known.map((arbitrary) => ({ weight: 9, arbitrary })), {
    weight: 1,
    arbitrary: unknownFields,
  });
  return fc.array(fields, { maxLength: 8 }).map((parts) => Uint8Array.from(Buffer.concat(parts)));
}

/** A Digest message: in order as all encoders write it, or with its fields as they come. */
export const digests: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(hashes, sizes).map(inOrder) },
  {
    weight: 1,
    arbitrary: messageOf(
      hashes.map((hash) => field.text(1, hash)),
      sizes.map((size) => field.varint(2, size)),
    ),
  },
);

/** The message, and what a fault on the way may make of it. */
export function damaged(messages: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(messages, fc.nat(), fc.nat(255), fc.constantFrom('flip', 'cut', 'whole', 'whole'))
    .map(([bytes, position, value, fault]) => {
      if (bytes.length === 0 || fault === 'whole') return bytes;
      const at = position % bytes.length;
      if (fault === 'cut') return bytes.slice(0, at);
      return bytes.map((byte, index) => (index === at ? value : byte));
    });
}

/** Both decoders give the same message, or refuse the bytes in the same words. */
export function expectSameDecoding<T>(
  hand: MessageCodec<T>,
  generated: MessageCodec<T>,
  bytes: Uint8Array,
): void {
  expect(outcome(hand, bytes)).toEqual(outcome(generated, bytes));
}

function outcome<T>(codec: MessageCodec<T>, bytes: Uint8Array): unknown {
  try {
    return plain(decodeStrictly(codec, bytes));
  } catch (error) {
    return String(error);
  }
}

/** Without what tells apart a string from a getter of one, or kinds of byte arrays. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  if ('hash' in value && 'sizeBytes' in value) return { hash: value.hash, sizeBytes: value.sizeBytes };
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
}

function inOrder([hash, size]: readonly [string, number]): Uint8Array {
  return Buffer.concat([field.text(1, hash), ...(size === 0 ? [] : [field.varint(2, size)])]);
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
