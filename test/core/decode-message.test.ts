import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeMessage } from '../../core/decode-message.ts';
import { Command, Digest } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { thrown } from '../setup/rejection.ts';

/** A Command whose only argument is these bytes. */
const commandOf = (...text: number[]): Uint8Array => Uint8Array.of(0x0a, text.length, ...text);

test('gives the message', () => {
  const command = Command.fromPartial({ arguments: ['nvcc', 'ü', '\u{1f9f1}'], workingDirectory: 'src' });
  expect(decodeMessage(Command, Command.encode(command).finish(), 'command')).toEqual(command);
});

test('keeps a byte order mark, which is part of the text', () => {
  expect(decodeMessage(Command, commandOf(0xef, 0xbb, 0xbf, 0x61), 'command').arguments).toEqual(['\uFEFFa']);
});

test.for([
  ['bytes that are no UTF-8', commandOf(0x66, 0xff)],
  ['an overlong slash', commandOf(0xc0, 0xaf)],
  ['a surrogate', commandOf(0xed, 0xa0, 0x80)],
  ['a string longer than the message', Uint8Array.of(0x0a, 0x05, 0x61)],
  ['a cut tag', Uint8Array.of(0x80)],
  ['text', Buffer.from('#!/bin/sh\n')],
] as const)('refuses %s', ([, bytes]) => {
  expect(thrown(() => decodeMessage(Command, bytes, 'command'))).toMatchObject({
    code: Code.INVALID_ARGUMENT,
    message: 'command is not a well-formed message',
  });
});

test.for([
  ['zeros', Buffer.alloc(64), 1],
  ['a message with zeros behind it', Uint8Array.of(...commandOf(0x61), 0, 0), 4],
  ['an end without a beginning', Uint8Array.of(0x0c, 0x0a, 0x01, 0x61), 1],
] as const)('refuses %s, where the codec would stop without a word', ([, bytes, position]) => {
  expect(thrown(() => decodeMessage(Command, bytes, 'command'))).toMatchObject({
    code: Code.INVALID_ARGUMENT,
    message: `command is not a well-formed message: it ends at byte ${position} of ${bytes.byteLength}`,
  });
});

test('refuses a number that JavaScript cannot hold', () => {
  const bytes = Uint8Array.of(0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f);
  expect(thrown(() => decodeMessage(Digest, bytes, 'digest'))).toMatchObject({
    code: Code.INVALID_ARGUMENT,
    message: 'digest is not a well-formed message',
  });
});

test('of noise throws nothing but INVALID_ARGUMENT', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeMessage(Command, bytes, 'command');
      } catch (error) {
        expect(error).toMatchObject({ name: 'IngotError', code: Code.INVALID_ARGUMENT });
      }
    }),
    { numRuns: 1000 },
  );
});
