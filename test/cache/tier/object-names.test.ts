import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ObjectNames } from '../../../cache/tier/object-names.ts';
import { Digest } from '../../../core/digest.ts';
import { DigestFunction_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

const digest = Digest.ofBytes(Buffer.from('x'));

describe('ObjectNames', () => {
  it('has blobs and results apart, by instance, function and hash', () => {
    const names = new ObjectNames('team/');
    const blake3 = Digest.ofBytes(Buffer.from('x'), DigestFunction_Value.BLAKE3);
    expect(names.blob('', digest)).toBe(`team/@/cas/sha256/${digest.hash}`);
    expect(names.result('', digest)).toBe(`team/@/ac/sha256/${digest.hash}`);
    expect(names.blob('main', blake3)).toBe(`team/main/cas/blake3/${blake3.hash}`);
    expect(new ObjectNames('').blob('a/b c', digest)).toBe(`a=2fb=20c/cas/sha256/${digest.hash}`);
  });

  it('gives every instance a segment of its own that leads nowhere else', () => {
    const names = new ObjectNames('');
    const segmentOf = (instanceName: string) => names.blob(instanceName, digest).split('/cas/')[0] ?? '';
    for (const odd of ['.', '..', '@', '=h', 'ä'.repeat(100), 'a'.repeat(256)]) {
      expect(segmentOf(odd)).toMatch(/^[A-Za-z0-9=@-][A-Za-z0-9=.-]{0,199}$/);
    }
    fc.assert(
      fc.property(fc.string({ maxLength: 80 }), fc.string({ maxLength: 80 }), (one, other) => {
        expect(segmentOf(one)).toMatch(/^[A-Za-z0-9=@-][A-Za-z0-9=.-]{0,199}$/);
        expect(segmentOf(one) === segmentOf(other)).toBe(one === other);
      }),
    );
  });
});
