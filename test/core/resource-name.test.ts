import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Digest } from '../../core/digest.ts';
import { isIngotError } from '../../core/error.ts';
import {
  checkInstanceName,
  formatLogName,
  formatReadName,
  formatWriteName,
  isLogName,
  parseLogName,
  parseReadName,
  parseWriteName,
} from '../../core/resource-name.ts';
import { Compressor_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { thrown } from '../setup/rejection.ts';

const { IDENTITY, ZSTD, DEFLATE, BROTLI } = Compressor_Value;
const DIGEST = Digest.ofBytes(Buffer.from('hello'));
const { hash: HASH } = DIGEST;
const UUID = '6b0fb1a6-0b0c-4e0f-9d43-3f2b8b6c2f8e';

const RESERVED = [
  'blobs',
  'uploads',
  'actions',
  'actionResults',
  'operations',
  'capabilities',
  'compressed-blobs',
];

const segment = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  .filter(
    (text) => !/[/\p{Cc}]/u.test(text) && text.isWellFormed() && !['.', '..', ...RESERVED].includes(text),
  );
const instanceName = fc
  .array(segment, { maxLength: 4 })
  .map((segments) => segments.join('/'))
  .filter((name) => Buffer.byteLength(name) <= 256);
const digest = fc.uint8Array().map((bytes) => Digest.ofBytes(bytes));
const compressor = fc.constantFrom(IDENTITY, ZSTD, DEFLATE, BROTLI);
const operationId = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,40}$/);

/** Near misses and noise: pieces of real names in any order. */
const garbage = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(
      fc.oneof(
        fc.constantFrom(
          ...RESERVED,
          HASH,
          UUID,
          'zstd',
          'blake3',
          'sha256',
          '5',
          '-1',
          '',
          '..',
          'logs',
          'stdout',
        ),
        fc.string(),
      ),
      { maxLength: 8 },
    )
    .map((parts) => parts.join('/')),
);

/** A name may name a digest function that REAPI knows and we do not announce; all else is the client's mistake. */
const isRefusal = (error: unknown): boolean =>
  isIngotError(error, Code.INVALID_ARGUMENT) || isIngotError(error, Code.UNIMPLEMENTED);

describe('read names', () => {
  test.for([
    [`blobs/${HASH}/5`, '', IDENTITY],
    [`main/blobs/${HASH}/5`, 'main', IDENTITY],
    [`a/b/c/blobs/${HASH}/5`, 'a/b/c', IDENTITY],
    [`compressed-blobs/zstd/${HASH}/5`, '', ZSTD],
    [`x/compressed-blobs/deflate/${HASH}/5`, 'x', DEFLATE],
    [`x/y/compressed-blobs/brotli/${HASH}/5`, 'x/y', BROTLI],
    [`logs/zstd/blobs/${HASH}/5`, 'logs/zstd', IDENTITY],
  ] as const)('%s', ([name, expectedInstance, expectedCompressor]) => {
    const parsed = { instanceName: expectedInstance, digest: DIGEST, compressor: expectedCompressor };
    expect(parseReadName(name)).toEqual(parsed);
    expect(formatReadName(parsed)).toBe(name);
  });

  test('come back from what is formatted', () => {
    fc.assert(
      fc.property(fc.record({ instanceName, digest, compressor }), (name) => {
        expect(parseReadName(formatReadName(name))).toEqual(name);
      }),
    );
  });

  test.for([
    ['', 'resource name "": it has neither blobs nor compressed-blobs in it'],
    ['blobs', 'resource name "blobs": "" is not a size in bytes'],
    [`blobs/${HASH}`, `"" is not a size in bytes`],
    [`blobs/${HASH}/5/`, 'something follows the size'],
    [`blobs/${HASH}/5/note`, 'something follows the size'],
    [`/blobs/${HASH}/5`, 'resource name begins with a slash'],
    [`a//blobs/${HASH}/5`, 'instance name "a/": it has an empty segment'],
    [`../blobs/${HASH}/5`, 'instance name "..": it has .. as a segment'],
    [`a/./b/blobs/${HASH}/5`, 'instance name "a/./b": it has . as a segment'],
    [`uploads/${UUID}/blobs/${HASH}/5`, 'its segment uploads is a reserved word'],
    [`blobs/blobs/${HASH}/5`, 'is not a size in bytes'],
    [`a/blobs/b/blobs/${HASH}/5`, 'is not a size in bytes'],
    [`operations/blobs/${HASH}/5`, 'its segment operations is a reserved word'],
    [`blobs/sha256/${HASH}/5`, 'is not a size in bytes'],
    [`blobs/${HASH}/-5`, '"-5" is not a size in bytes'],
    [`blobs/${HASH}/+5`, '"+5" is not a size in bytes'],
    [`blobs/${HASH}/05`, '"05" is not a size in bytes'],
    [`blobs/${HASH}/5.0`, '"5.0" is not a size in bytes'],
    [`blobs/${HASH}/5e0`, '"5e0" is not a size in bytes'],
    [`blobs/${HASH}/0x5`, '"0x5" is not a size in bytes'],
    [`blobs/${HASH}/ 5`, '" 5" is not a size in bytes'],
    [`blobs/${HASH}/9223372036854775807`, '"9223372036854775807" is not a size in bytes'],
    [`blobs/${HASH}/9007199254740992`, 'digest size is 9007199254740992 bytes'],
    [`blobs/${HASH}/0`, 'only the empty blob has size 0'],
    [`blobs/${HASH.toUpperCase()}/5`, 'digest hash is not lower-case hexadecimal'],
    [`blobs/${HASH.slice(1)}/5`, 'digest hash has 63 characters'],
    [`compressed-blobs/${HASH}/5`, 'is not a known compressor'],
    [`compressed-blobs/gzip/${HASH}/5`, '"gzip" is not a known compressor'],
    [`compressed-blobs/identity/${HASH}/5`, '"identity" is not a known compressor'],
    [`compressed-blobs/ZSTD/${HASH}/5`, '"ZSTD" is not a known compressor'],
    [`a\nb/blobs/${HASH}/5`, 'it contains a control character'],
    [`a\0/blobs/${HASH}/5`, 'it contains a control character'],
    [`\uD800/blobs/${HASH}/5`, 'it is not well-formed Unicode'],
    [`${'a'.repeat(257)}/blobs/${HASH}/5`, 'it is longer than 256 bytes'],
    [`${'a/'.repeat(600)}blobs/${HASH}/5`, 'it is longer than 1024 bytes'],
  ] as const)('refuses %j', ([name, message]) => {
    expect(thrown(() => parseReadName(name))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringContaining(message),
    });
  });

  test('with a digest function we do not announce are UNIMPLEMENTED', () => {
    expect(thrown(() => parseReadName(`blobs/sha256tree/${HASH}/5`))).toMatchObject({
      code: Code.UNIMPLEMENTED,
      message: expect.stringContaining('digest function 8 is not supported, expected one of sha256, '),
    });
  });

  test('of noise are refused or round trips, and the message stays short and clean', () => {
    fc.assert(
      fc.property(garbage, (name) => {
        let parsed: ReturnType<typeof parseReadName>;
        try {
          parsed = parseReadName(name);
        } catch (error) {
          expect(error).toSatisfy(isRefusal);
          expect((error as Error).message).not.toMatch(/\p{Cc}/u);
          expect((error as Error).message.length).toBeLessThan(1000);
          return;
        }
        expect(formatReadName(parsed)).toBe(name);
      }),
      { numRuns: 500 },
    );
  });
});

describe('write names', () => {
  test.for([
    [`uploads/${UUID}/blobs/${HASH}/5`, '', IDENTITY],
    [`main/uploads/${UUID}/blobs/${HASH}/5`, 'main', IDENTITY],
    [`a/b/uploads/${UUID}/compressed-blobs/zstd/${HASH}/5`, 'a/b', ZSTD],
  ] as const)('%s', ([name, expectedInstance, expectedCompressor]) => {
    const parsed = {
      instanceName: expectedInstance,
      uuid: UUID,
      digest: DIGEST,
      compressor: expectedCompressor,
    };
    expect(parseWriteName(name)).toEqual(parsed);
    expect(formatWriteName(parsed)).toBe(name);
  });

  test.for(['/', '/foo.txt', '/some/path/blobs/uploads/..', '//'])(
    'ignore %j after the size, as REAPI lets clients note what the blob is',
    (note) => {
      expect(parseWriteName(`x/uploads/${UUID}/blobs/${HASH}/5${note}`)).toEqual({
        instanceName: 'x',
        uuid: UUID,
        digest: DIGEST,
        compressor: IDENTITY,
      });
    },
  );

  test('keep the UUID as the client wrote it', () => {
    expect(parseWriteName(`uploads/${UUID.toUpperCase()}/blobs/${HASH}/5`).uuid).toBe(UUID.toUpperCase());
  });

  test('come back from what is formatted', () => {
    fc.assert(
      fc.property(fc.record({ instanceName, uuid: fc.uuid(), digest, compressor }), (name) => {
        expect(parseWriteName(formatWriteName(name))).toEqual(name);
      }),
    );
  });

  test.for([
    [`blobs/${HASH}/5`, 'it has no uploads in it'],
    [`uploads/${UUID}`, '"" stands where blobs or compressed-blobs is expected'],
    [`uploads/${UUID}/${HASH}/5`, 'stands where blobs or compressed-blobs is expected'],
    [`uploads/blobs/${HASH}/5`, '"blobs" after uploads is not a UUID'],
    [`uploads/not-a-uuid/blobs/${HASH}/5`, '"not-a-uuid" after uploads is not a UUID'],
    [`uploads/../blobs/${HASH}/5`, '".." after uploads is not a UUID'],
    [`uploads/{${UUID}}/blobs/${HASH}/5`, 'after uploads is not a UUID'],
    [`uploads//blobs/${HASH}/5`, '"" after uploads is not a UUID'],
    [`/uploads/${UUID}/blobs/${HASH}/5`, 'resource name begins with a slash'],
    [`blobs/uploads/${UUID}/blobs/${HASH}/5`, 'its segment blobs is a reserved word'],
    [`uploads/${UUID}/blobs/${HASH}/5x`, '"5x" is not a size in bytes'],
    [`uploads/${UUID}/blobs/${HASH}/5/${'x'.repeat(1024)}`, 'it is longer than 1024 bytes'],
    [`uploads/${UUID}/blobs/${HASH}/5/a\nb`, 'it contains a control character'],
  ] as const)('refuse %j', ([name, message]) => {
    expect(thrown(() => parseWriteName(name))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringContaining(message),
    });
  });

  test('of noise are refused or parse to what they begin with', () => {
    fc.assert(
      fc.property(garbage, (name) => {
        let parsed: ReturnType<typeof parseWriteName>;
        try {
          parsed = parseWriteName(name);
        } catch (error) {
          expect(error).toSatisfy(isRefusal);
          return;
        }
        expect(name.startsWith(formatWriteName(parsed))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('are not made from a bad UUID or instance name', () => {
    const parts = { instanceName: '', uuid: UUID, digest: DIGEST, compressor: IDENTITY };
    expect(thrown(() => formatWriteName({ ...parts, uuid: 'x/../y' }))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'upload name "x/../y" is not a UUID',
    });
    expect(thrown(() => formatWriteName({ ...parts, instanceName: 'a/uploads' })).code).toBe(
      Code.INVALID_ARGUMENT,
    );
    expect(
      thrown(() => formatReadName({ ...parts, compressor: Compressor_Value.UNRECOGNIZED })),
    ).toMatchObject({
      message: 'compressor -1 is not known',
    });
  });
});

describe('log names', () => {
  test('come back from what is formatted, and are told from the names of blobs', () => {
    fc.assert(
      fc.property(
        fc.record({
          instanceName,
          operationId,
          stream: fc.constantFrom('stdout' as const, 'stderr' as const),
        }),
        fc.record({ instanceName, digest, compressor }),
        (logName, readName) => {
          const name = formatLogName(logName);
          expect(parseLogName(name)).toEqual(logName);
          expect(isLogName(name)).toBe(true);
          expect(isLogName(formatReadName(readName))).toBe(false);
        },
      ),
    );
  });

  test('work below an instance called logs', () => {
    expect(parseLogName('logs/logs/op-1/stderr')).toEqual({
      instanceName: 'logs',
      operationId: 'op-1',
      stream: 'stderr',
    });
  });

  test.for([
    'logs/op-1',
    'logs/op-1/stdin',
    'logs//stdout',
    'logs/../stdout',
    'logs/.op/stdout',
    '/logs/op/stdout',
    'a//logs/op/stdout',
    'blobs/logs/op/stdout',
    'logs/op/stdout/',
    'logs/a b/stdout',
    `logs/${'x'.repeat(129)}/stdout`,
    'xlogs/op/stdout',
  ])('refuses %j', (name) => {
    expect(thrown(() => parseLogName(name)).code).toBe(Code.INVALID_ARGUMENT);
  });

  test('of noise are INVALID_ARGUMENT or round trips', () => {
    fc.assert(
      fc.property(garbage, (name) => {
        let parsed: ReturnType<typeof parseLogName>;
        try {
          parsed = parseLogName(name);
        } catch (error) {
          expect(error).toMatchObject({ name: 'IngotError', code: Code.INVALID_ARGUMENT });
          return;
        }
        expect(formatLogName(parsed)).toBe(name);
      }),
      { numRuns: 500 },
    );
  });
});

describe('checkInstanceName', () => {
  test.for(['', 'main', 'team/project', 'ci/logs', 'ü', 'a b', 'Blobs', 'x'.repeat(256)])(
    'takes %j',
    (name) => {
      expect(() => checkInstanceName(name)).not.toThrow();
    },
  );

  test.for([
    ['/', 'it has an empty segment'],
    ['a/', 'it has an empty segment'],
    ['/a', 'it has an empty segment'],
    ['.', 'it has . as a segment'],
    ['a/..', 'it has .. as a segment'],
    ['x'.repeat(257), 'it is longer than 256 bytes'],
    ['ü'.repeat(129), 'it is longer than 256 bytes'],
    ['a\tb', 'it contains a control character'],
    ['a\u0085b', 'it contains a control character'],
    ['\uDC00', 'it is not well-formed Unicode'],
    ...RESERVED.map((word) => [`a/${word}/b`, `its segment ${word} is a reserved word`] as const),
  ] as const)('refuses %j', ([name, message]) => {
    expect(thrown(() => checkInstanceName(name))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringContaining(message),
    });
  });
});
