import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Digest } from '../../core/digest.ts';
import {
  checkDirectory,
  checkRelativePath,
  DIRECTORY_BYTES_MAX,
  encodeCanonical,
  PATH_BYTES_MAX,
  parseDirectory,
} from '../../core/directory.ts';
import {
  type DeepPartial,
  DigestFunction_Value,
  Directory,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { thrown } from '../setup/rejection.ts';

const digest = Digest.ofBytes(Buffer.from('content')).toMessage();
const file = (name: string) => ({ name, digest });
const subdirectory = (name: string) => ({ name, digest });
const symlink = (name: string, target = 'target') => ({ name, target });

/** Encoded as it stands, sorted or not. */
const encoded = (directory: DeepPartial<Directory>): Uint8Array =>
  Directory.encode(Directory.fromPartial(directory)).finish();
const refusal = (directory: DeepPartial<Directory>): object => {
  const error = thrown(() => parseDirectory(encoded(directory)));
  // What is built in memory is refused for the same reason.
  expect(thrown(() => checkDirectory(Directory.fromPartial(directory)))).toMatchObject({
    code: error.code,
    message: error.message,
  });
  return error;
};

describe('parseDirectory', () => {
  test('gives a well-formed directory', () => {
    const directory = Directory.fromPartial({
      files: [file(' '), file('-rf'), file('a'), file('a.b'), file('ü'), file('\uffff'), file('\u{1f9f1}')],
      directories: [subdirectory('...'), subdirectory('src')],
      symlinks: [symlink('absolute', '/etc/passwd'), symlink('up', '../../x')],
      nodeProperties: { unixMode: 0o755 },
    });
    expect(parseDirectory(encoded(directory))).toEqual(directory);
  });

  test('gives the empty one', () => {
    expect(parseDirectory(Buffer.alloc(0))).toEqual(Directory.fromPartial({}));
  });

  const badNames: [string, string][] = [
    ['', 'is empty'],
    ['.', 'leads elsewhere'],
    ['..', 'leads elsewhere'],
    ['a/b', 'contains a slash'],
    ['/', 'contains a slash'],
    ['../x', 'contains a slash'],
    ['a\0b', 'contains a NUL'],
    ['x'.repeat(256), 'is longer than 255 bytes'],
    ['ü'.repeat(128), 'is longer than 255 bytes'],
    ['\uFEFF', 'begins with a byte order mark'],
    ['\uFEFFa', 'begins with a byte order mark'],
  ];
  test.for(badNames)('refuses the name %j of a file, directory or symlink', ([name, problem]) => {
    const expected = {
      code: Code.INVALID_ARGUMENT,
      message: expect.stringMatching(new RegExp(`^directory: name ".*"?.* ${problem}$`)),
    };
    expect(refusal({ files: [file(name)] })).toMatchObject(expected);
    expect(refusal({ directories: [subdirectory(name)] })).toMatchObject(expected);
    expect(refusal({ symlinks: [symlink(name)] })).toMatchObject(expected);
  });

  test('takes a name of 255 bytes', () => {
    const directory = Directory.fromPartial({ files: [file('x'.repeat(255))] });
    expect(parseDirectory(encoded(directory))).toEqual(directory);
  });

  test.for<[string, DeepPartial<Directory>]>([
    ['two files', { files: [file('a'), file('a')] }],
    ['a file and a directory', { files: [file('a')], directories: [subdirectory('a')] }],
    ['a file and a symlink', { files: [file('a')], symlinks: [symlink('a')] }],
    ['a directory and a symlink', { directories: [subdirectory('a')], symlinks: [symlink('a')] }],
  ])('refuses %s of one name', ([, directory]) => {
    expect(refusal(directory)).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'directory: name "a" comes twice',
    });
  });

  test.for<[string, DeepPartial<Directory>]>([
    ['files', { files: [file('b'), file('a')] }],
    ['directories', { directories: [subdirectory('b'), subdirectory('a')] }],
    ['symlinks', { symlinks: [symlink('b'), symlink('a')] }],
  ])('refuses unsorted %s', ([list, directory]) => {
    expect(refusal(directory)).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: `directory: ${list} are not sorted, "a" comes after "b"`,
    });
  });

  test('means the order of UTF-8 bytes, not of UTF-16 units', () => {
    expect(refusal({ files: [file('\u{1f9f1}'), file('\uffff')] })).toMatchObject({
      message: `directory: files are not sorted, "\uffff" comes after "\u{1f9f1}"`,
    });
  });

  test.for<[string, Digest['toMessage'] extends () => infer D ? D | undefined : never, string]>([
    ['no digest', undefined, 'directory: "a": digest is missing'],
    [
      'a short hash',
      { hash: 'ab', sizeBytes: 5 },
      'directory: "a": digest hash has 2 characters, expected 64 (sha256) or 40 (sha1) or 96 (sha384) or 128 (sha512) or 32 (md5)',
    ],
    [
      'size -1',
      { ...digest, sizeBytes: -1 },
      'directory: "a": digest size is -1 bytes, expected 0 to 9007199254740991',
    ],
  ])('refuses a node with %s', ([, bad, message]) => {
    const expected = { code: Code.INVALID_ARGUMENT, message };
    const node = { name: 'a', digest: bad };
    expect(refusal({ files: [node] })).toMatchObject(expected);
    expect(refusal({ directories: [node] })).toMatchObject(expected);
  });

  test('refuses a digest that is not of the function said', () => {
    expect(
      thrown(() => parseDirectory(encoded({ files: [file('a')] }), DigestFunction_Value.SHA1)),
    ).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'directory: "a": digest hash has 64 characters, expected 40 for sha1',
    });
  });

  test.for([
    ['', 'is empty'],
    ['a\0b', 'contains a NUL'],
    ['x'.repeat(PATH_BYTES_MAX + 1), 'is longer than 4095 bytes'],
  ] as const)('refuses the symlink target %j', ([target, problem]) => {
    expect(refusal({ symlinks: [symlink('link', target)] })).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: `directory: the target of symlink "link" ${problem}`,
    });
  });

  test('refuses a size that JavaScript cannot hold', () => {
    // files[0].digest.size_bytes = 2^63 - 1
    const size = [0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    const node = [0x0a, 1, 0x61, 0x12, size.length, ...size];
    expect(thrown(() => parseDirectory(Uint8Array.of(0x0a, node.length, ...node)))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'directory is not a well-formed message',
    });
  });

  test('refuses a name that is no UTF-8 in place of repairing it', () => {
    expect(thrown(() => parseDirectory(Uint8Array.of(0x0a, 4, 0x0a, 2, 0x61, 0xff)))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'directory is not a well-formed message',
    });
  });

  test('refuses one that is too large before it decodes it', () => {
    expect(thrown(() => parseDirectory(Buffer.alloc(DIRECTORY_BYTES_MAX + 1)))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'directory has 4194305 bytes, at most 4194304 are accepted',
    });
  });

  test('is quick with the most nodes that fit', () => {
    const bomb = Buffer.alloc(DIRECTORY_BYTES_MAX);
    for (let index = 0; index < bomb.byteLength; index += 2) bomb[index] = 0x0a;
    const startMs = performance.now();
    expect(thrown(() => parseDirectory(bomb)).message).toBe('directory: name "" is empty');
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });

  test('of noise throws nothing but INVALID_ARGUMENT', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          parseDirectory(bytes);
        } catch (error) {
          expect(error).toMatchObject({ name: 'IngotError', code: Code.INVALID_ARGUMENT });
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('checkDirectory', () => {
  test('refuses strings that cannot be encoded, which only memory can hold', () => {
    const lone = '\ud800';
    expect(thrown(() => checkDirectory(Directory.fromPartial({ files: [file(lone)] })))).toMatchObject({
      message: 'directory: name "\ufffd" is not well-formed Unicode',
    });
    expect(
      thrown(() => checkDirectory(Directory.fromPartial({ symlinks: [symlink('a', lone)] }))),
    ).toMatchObject({
      message: 'directory: the target of symlink "a" is not well-formed Unicode',
    });
  });
});

describe('checkRelativePath', () => {
  test.for([
    'a',
    'a/b/c',
    'out/saxpy.sm_90.cubin',
    '-x',
    '...',
    'a b',
    'ü/\u{1f9f1}',
    `${'x'.repeat(255)}/y`,
  ])('takes %j', (path) => {
    expect(() => checkRelativePath(path, 'output path')).not.toThrow();
  });

  test('takes the empty path only when told so', () => {
    expect(() => checkRelativePath('', 'working directory', { emptyAllowed: true })).not.toThrow();
    expect(thrown(() => checkRelativePath('', 'output path'))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'output path is empty',
    });
  });

  test.for([
    ['/', 'output path "/" is absolute, expected a relative path'],
    ['/etc', 'output path "/etc" is absolute, expected a relative path'],
    ['//a', 'output path "//a" is absolute, expected a relative path'],
    ['..', 'output path "..": its segment ".." leads elsewhere'],
    ['a/../b', 'output path "a/../b": its segment ".." leads elsewhere'],
    ['a/..', 'output path "a/..": its segment ".." leads elsewhere'],
    ['./a', 'output path "./a": its segment "." leads elsewhere'],
    ['a//b', 'output path "a//b": its segment "" is empty'],
    ['a/', 'output path "a/": its segment "" is empty'],
    ['a\0b', 'output path "a\\u0000b": its segment "a\\u0000b" contains a NUL'],
    ['a/\uFEFFb', 'output path "a/\uFEFFb": its segment "\uFEFFb" begins with a byte order mark'],
    ['\ud800', 'output path "\ufffd": its segment "\ufffd" is not well-formed Unicode'],
  ] as const)('refuses %j', ([path, message]) => {
    expect(thrown(() => checkRelativePath(path, 'output path'))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message,
    });
  });

  test.for([
    ['a segment', 'x'.repeat(256), 'is longer than 255 bytes'],
    ['a path', 'x/'.repeat(2048), 'is longer than 4095 bytes'],
  ] as const)('refuses %s that is too long', ([, path, problem]) => {
    expect(thrown(() => checkRelativePath(path, 'output path'))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringContaining(problem),
    });
  });

  test('takes nothing that leads outside', () => {
    const piece = fc.constantFrom('..', '.', '', 'a', 'b', '/', '\0', '\\', 'x..');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        const path = pieces.join('/');
        try {
          checkRelativePath(path, 'output path');
        } catch (error) {
          expect(error).toMatchObject({ name: 'IngotError', code: Code.INVALID_ARGUMENT });
          return;
        }
        expect(new URL(`file:///root/${encodeURIComponent(path).replaceAll('%2F', '/')}`).pathname).toMatch(
          /^\/root\/./,
        );
        expect(path.split('/').every((segment) => !['', '.', '..'].includes(segment))).toBe(true);
      }),
    );
  });
});

describe('encodeCanonical', () => {
  const name = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 6 })
    .filter(
      (text) =>
        !/[/\0]/.test(text) && text.isWellFormed() && !['.', '..'].includes(text) && text[0] !== '\uFEFF',
    );

  test('is the same whatever the order of the nodes, and can be parsed', () => {
    fc.assert(
      fc.property(
        fc
          .uniqueArray(name, { minLength: 3, maxLength: 12 })
          .chain((names) =>
            fc.tuple(fc.constant(names), fc.shuffledSubarray(names, { minLength: names.length })),
          ),
        ([names, shuffled]) => {
          const build = (order: readonly string[]): Directory => {
            const kind = (each: string): number => names.indexOf(each) % 3;
            return Directory.fromPartial({
              files: order.filter((each) => kind(each) === 0).map(file),
              directories: order.filter((each) => kind(each) === 1).map(subdirectory),
              symlinks: order.filter((each) => kind(each) === 2).map((each) => symlink(each)),
            });
          };
          const bytes = encodeCanonical(build(shuffled));
          expect(bytes.equals(encodeCanonical(build(names)))).toBe(true);
          expect(encodeCanonical(parseDirectory(bytes)).equals(bytes)).toBe(true);
        },
      ),
    );
  });

  test('sorts node properties, and leaves its argument as it was', () => {
    const properties = [
      { name: 'b', value: '1' },
      { name: 'a', value: '2' },
    ];
    const directory = Directory.fromPartial({
      files: [{ ...file('y'), nodeProperties: { properties } }, file('x')],
      symlinks: [{ ...symlink('z'), nodeProperties: { properties } }],
      nodeProperties: { properties },
    });
    const before = structuredClone(directory);
    const decoded = Directory.decode(encodeCanonical(directory));
    const sorted = properties.toReversed();
    expect(decoded.files.map((node) => node.name)).toEqual(['x', 'y']);
    expect(decoded.files[1]!.nodeProperties!.properties).toEqual(sorted);
    expect(decoded.symlinks[0]!.nodeProperties!.properties).toEqual(sorted);
    expect(decoded.nodeProperties!.properties).toEqual(sorted);
    expect(directory).toEqual(before);
  });

  test('refuses what parsing would refuse', () => {
    expect(
      thrown(() => encodeCanonical(Directory.fromPartial({ files: [file('a'), file('a')] }))),
    ).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'directory: name "a" comes twice',
    });
    const many = Array.from({ length: 60_000 }, (_, index) => file(String(index).padStart(6, '0')));
    expect(thrown(() => encodeCanonical(Directory.fromPartial({ files: many })))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: expect.stringMatching(/^directory has \d+ bytes, at most 4194304 are accepted$/),
    });
  });
});
