import { expect, it } from 'vitest';
import { namedAmong } from '../../../cache/remote/named-among.ts';
import { Digest } from '../../../core/digest.ts';
import { PackedDigest } from '../../../core/packed-digest.ts';
import { DigestFunction_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

const [a, b, c] = ['a', 'b', 'c'].map((text) => Digest.ofBytes(Buffer.from(text))) as [
  Digest,
  Digest,
  Digest,
];
const packed = (digest: Digest) => new PackedDigest(digest.words, digest.sizeBytes);

it('finds what is named, in any order and in either form', () => {
  for (const form of [packed, (digest: Digest) => digest.toMessage()]) {
    expect(namedAmong([a, b, c], [a, c].map(form))).toEqual([a, c]);
    expect(namedAmong([a, b, c], [c, a].map(form))).toEqual([a, c]);
    expect(namedAmong([a, a, b], [a, b].map(form))).toEqual([a, b]);
    expect(namedAmong([a, b], [])).toEqual([]);
  }
});

it('leaves out what was not asked for', () => {
  expect(namedAmong([a, b], [packed(c), packed(b)])).toEqual([b]);
  const other = Digest.of(a.hash, 2);
  expect(namedAmong([a], [packed(other)])).toEqual([]);
});

it('does not take the beginning of a longer or shorter hash for the hash', () => {
  const long = Digest.ofBytes(Buffer.from('a'), DigestFunction_Value.SHA512);
  expect(namedAmong([long], [new PackedDigest(long.words, 1)])).toEqual([]);
  expect(namedAmong([long], [long.toMessage()])).toEqual([long]);
});
