import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Digest, DigestHasher, digestFunctions } from '../../core/digest.ts';
import { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { thrown } from '../setup/rejection.ts';

const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const HASH = createHash('sha256').update('hello').digest('hex');
const { SHA256, BLAKE3, SHA1, SHA384, SHA512, MD5, UNKNOWN, SHA256TREE, GITSHA1, UNRECOGNIZED } =
  DigestFunction_Value;

describe('Digest.of', () => {
  test('takes a hash and a size, and tells the function from the length when it is not said', () => {
    for (const digestFunction of [undefined, UNKNOWN, SHA256]) {
      expect(Digest.of(HASH, 5, digestFunction)).toMatchObject({
        hash: HASH,
        sizeBytes: 5,
        digestFunction: SHA256,
      });
    }
  });

  test.for([
    [
      '63 digits',
      HASH.slice(1),
      5,
      'digest hash has 63 characters, expected 64 (sha256) or 40 (sha1) or 96 (sha384) or 128 (sha512) or 32 (md5)',
    ],
    [
      '65 digits',
      `${HASH}0`,
      5,
      'digest hash has 65 characters, expected 64 (sha256) or 40 (sha1) or 96 (sha384) or 128 (sha512) or 32 (md5)',
    ],
    [
      'no hash',
      '',
      5,
      'digest hash has 0 characters, expected 64 (sha256) or 40 (sha1) or 96 (sha384) or 128 (sha512) or 32 (md5)',
    ],
    ['upper case', HASH.toUpperCase(), 5, 'digest hash is not lower-case hexadecimal'],
    ['one upper-case digit', `A${HASH.slice(1)}`, 5, 'digest hash is not lower-case hexadecimal'],
    ['no hexadecimal', `g${HASH.slice(1)}`, 5, 'digest hash is not lower-case hexadecimal'],
    ['a line break', `${HASH.slice(1)}\n`, 5, 'digest hash is not lower-case hexadecimal'],
    ['a path', `../${HASH.slice(3)}`, 5, 'digest hash is not lower-case hexadecimal'],
    ['size -1', HASH, -1, 'digest size is -1 bytes, expected 0 to 9007199254740991'],
    [
      'size 2^63-1',
      HASH,
      2 ** 63 - 1,
      'digest size is 9223372036854776000 bytes, expected 0 to 9007199254740991',
    ],
    ['half a byte', HASH, 0.5, 'digest size is 0.5 bytes, expected 0 to 9007199254740991'],
    ['no number', HASH, Number.NaN, 'digest size is NaN bytes, expected 0 to 9007199254740991'],
    [
      'size 0 with data',
      HASH,
      0,
      `digest ${HASH}/0 is impossible: only the empty blob has size 0 and its hash`,
    ],
    [
      'the empty hash with a size',
      EMPTY,
      1,
      `digest ${EMPTY}/1 is impossible: only the empty blob has size 0 and its hash`,
    ],
  ] as const)('refuses %s', ([, hash, sizeBytes, message]) => {
    expect(thrown(() => Digest.of(hash, sizeBytes))).toMatchObject({ code: Code.INVALID_ARGUMENT, message });
    expect(thrown(() => Digest.fromMessage({ hash, sizeBytes }))).toMatchObject({ message });
  });

  test.for([SHA256TREE, GITSHA1, UNRECOGNIZED])('refuses function %d, which we do not compute', (fn) => {
    expect(thrown(() => Digest.of(HASH, 5, fn))).toMatchObject({
      code: Code.UNIMPLEMENTED,
      message: `digest function ${fn} is not supported, expected one of sha256, blake3, sha1, sha384, sha512, md5`,
    });
  });

  test('names the function when that was said and the length does not fit it', () => {
    expect(thrown(() => Digest.of('ab', 5, SHA256))).toMatchObject({
      message: 'digest hash has 2 characters, expected 64 for sha256',
    });
  });

  test('never throws anything but INVALID_ARGUMENT, or UNIMPLEMENTED for a function not announced', () => {
    const announced: number[] = [DigestFunction_Value.UNKNOWN, ...digestFunctions];
    fc.assert(
      fc.property(fc.string(), fc.double(), fc.integer({ min: -1, max: 12 }), (hash, size, fn) => {
        expect(thrown(() => Digest.of(hash, size, fn as DigestFunction_Value)).code).toBe(
          announced.includes(fn) ? Code.INVALID_ARGUMENT : Code.UNIMPLEMENTED,
        );
      }),
    );
  });
});

describe('Digest', () => {
  test('a missing message is refused', () => {
    expect(thrown(() => Digest.fromMessage(undefined))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'digest is missing',
    });
  });

  test('of bytes is what Node says, and goes to a message and back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const digest = Digest.ofBytes(bytes);
        expect(digest.hash).toBe(createHash('sha256').update(bytes).digest('hex'));
        expect(digest.sizeBytes).toBe(bytes.byteLength);
        expect(digest.isEmpty).toBe(bytes.byteLength === 0);
        expect(Digest.fromMessage(digest.toMessage())).toEqual(digest);
      }),
    );
  });

  test('has equal keys only for equal digests', () => {
    expect(Digest.of(HASH, 5).key).toBe(Digest.ofBytes(Buffer.from('hello')).key);
    expect(Digest.of(HASH, 5).key).not.toBe(Digest.of(HASH, 6).key);
    expect(Digest.of(HASH, 5).key).not.toBe(Digest.ofBytes(Buffer.from('hellp')).key);
  });

  test.for([
    [SHA256, 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [BLAKE3, '6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85'],
    [SHA1, 'a9993e364706816aba3e25717850c26c9cd0d89d'],
    [
      SHA384,
      'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7',
    ],
    [
      SHA512,
      'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    ],
    [MD5, '900150983cd24fb0d6963f7d28e17f72'],
  ] as const)('of function %d is the published one of abc, by every way it is made', ([fn, hash]) => {
    const digest = Digest.ofBytes(Buffer.from('abc'), fn);
    expect(digest).toMatchObject({ hash, sizeBytes: 3, digestFunction: fn });
    const fromWire = Digest.ofHex(Buffer.from(hash), 3, fn);
    expect(fromWire.hash).toBe(hash);
    for (const same of [Digest.of(hash, 3, fn), fromWire]) {
      expect([same.equals(digest), same.key]).toEqual([true, digest.key]);
      expect(same.words).toEqual(digest.words);
    }
    if (fn !== BLAKE3) expect(Digest.of(hash, 3, UNKNOWN).digestFunction).toBe(fn);
    expect(thrown(() => Digest.ofHex(Buffer.from(hash.toUpperCase()), 3, fn))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
      message: 'digest hash is not lower-case hexadecimal',
    });
    expect(digest.equals(Digest.of(hash, 4, fn))).toBe(false);
  });

  test('is written as hash/size', () => {
    expect(`${Digest.of(EMPTY, 0)}`).toBe(`${EMPTY}/0`);
  });
});

describe('DigestHasher', () => {
  test.for(digestFunctions)(
    'of function %d gives the digest of all that passed, however it was cut',
    (fn) => {
      fc.assert(
        fc.property(fc.array(fc.uint8Array()), (chunks) => {
          const hasher = new DigestHasher(fn);
          for (const chunk of chunks) hasher.update(chunk);
          const whole = Buffer.concat(chunks);
          expect(hasher.sizeBytes).toBe(whole.byteLength);
          expect(hasher.digest()).toEqual(Digest.ofBytes(whole, fn));
        }),
      );
    },
  );

  test('lets several BLAKE3 digests be under way at once', () => {
    const hashers = [new DigestHasher(BLAKE3), new DigestHasher(BLAKE3)];
    for (const byte of [1, 2, 3])
      for (const [index, one] of hashers.entries()) one.update(Buffer.of(byte + index));
    expect(hashers.map((one) => one.digest())).toEqual([
      Digest.ofBytes(Buffer.of(1, 2, 3), BLAKE3),
      Digest.ofBytes(Buffer.of(2, 3, 4), BLAKE3),
    ]);
  });

  test('exists for every announced function and no other', () => {
    for (const fn of digestFunctions) expect(new DigestHasher(fn).digest().isEmpty).toBe(true);
    expect(thrown(() => new DigestHasher(SHA256TREE))).toMatchObject({
      code: Code.UNIMPLEMENTED,
      message:
        'digest function 8 is not supported, expected one of sha256, blake3, sha1, sha384, sha512, md5',
    });
  });
});
