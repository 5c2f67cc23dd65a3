import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findMissingRequest } from '../../../../cache/grpc/wire/find-missing-request.ts';
import { findMissingResponse } from '../../../../cache/grpc/wire/find-missing-response.ts';
import { Digest, digestFunctions } from '../../../../core/digest.ts';
import { PackedDigest } from '../../../../core/packed-digest.ts';
import { decodeStrictly } from '../../../../core/rpc/rpc-decode.ts';
import {
  FindMissingBlobsRequest,
  FindMissingBlobsResponse,
} from '../../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { damaged, digests, expectSameDecoding, field, messageOf } from './wire-messages.ts';

const requests = messageOf(
  digests.map((digest) => field.bytes(2, digest)),
  fc.constantFrom('', 'team/a', 'größe', 'x'.repeat(200)).map((name) => field.text(1, name)),
  fc.constantFrom(0, 1, 9, 127, 128, 2 ** 31, -1).map((value) => field.varint(3, value)),
);

describe('the request', () => {
  it('is decoded as by the generated codec, damaged or not', () => {
    fc.assert(
      fc.property(damaged(requests), (bytes) =>
        expectSameDecoding(findMissingRequest, FindMissingBlobsRequest, bytes),
      ),
      { numRuns: 3000 },
    );
  });

  it('gets digests that are no strings when it is as encoders write it', () => {
    const [hash, sizeBytes] = ['0123456789abcdef'.repeat(4), 1234];
    const request = { instanceName: 'a', blobDigests: [{ hash, sizeBytes }], digestFunction: 1 as const };
    const decoded = decodeStrictly(findMissingRequest, FindMissingBlobsRequest.encode(request).finish());
    expect(decoded.blobDigests[0]).toBeInstanceOf(PackedDigest);
    expect(Digest.fromMessage(decoded.blobDigests[0], 1).toString()).toBe(`${hash}/${sizeBytes}`);
  });

  it('refuses what is no such message in the same words as the generated codec', () => {
    for (const bytes of [
      [0x12, 70],
      [0x12, 3, 0x0a, 1, 0xff],
      [0x0a, 2, 0xc3, 0x28],
      [0, 0],
      [0x12, 0, 0x07],
    ]) {
      expect(() => decodeStrictly(findMissingRequest, Uint8Array.from(bytes))).toThrow();
      expectSameDecoding(findMissingRequest, FindMissingBlobsRequest, Uint8Array.from(bytes));
    }
  });
});

it('encodes a request of Digests as the generated codec does, whatever instance, function and size', () => {
  const instanceNames = fc.constantFrom('', 'team/a', 'größe', 'x'.repeat(200));
  const sizes = fc.constantFrom(1, 127, 128, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER);
  const contents = fc.array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), sizes), {
    maxLength: 80,
  });
  fc.assert(
    fc.property(instanceNames, contents, fc.constantFrom(...digestFunctions), (instanceName, parts, fn) => {
      const digests = parts.map(([bytes, size]) => Digest.of(Digest.ofBytes(bytes, fn).hash, size, fn));
      const plain = digests.map((digest) => digest.toMessage());
      const expected = FindMissingBlobsRequest.encode({
        instanceName,
        blobDigests: plain,
        digestFunction: fn,
      });
      const encoded = Buffer.from(expected.finish());
      for (const blobDigests of [digests, plain]) {
        const message = { instanceName, blobDigests, digestFunction: fn };
        expect(Buffer.concat(findMissingRequest.encodeParts?.(message) ?? [])).toEqual(encoded);
      }
    }),
  );
});

describe('the response', () => {
  it('is decoded as by the generated codec, damaged or not', () => {
    const responses = messageOf(digests.map((digest) => field.bytes(2, digest)));
    fc.assert(
      fc.property(damaged(responses), (bytes) =>
        expectSameDecoding(findMissingResponse, FindMissingBlobsResponse, bytes),
      ),
      { numRuns: 2000 },
    );
  });

  const missing = fc.tuple(
    fc.uint8Array({ maxLength: 100 }),
    fc.constantFrom(...digestFunctions),
    fc.constantFrom(1, 127, 128, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER),
  );

  it('is encoded as by the generated codec, whatever the digest function and size', () => {
    fc.assert(
      fc.property(fc.array(missing, { maxLength: 100 }), (parts) => {
        const missingBlobDigests = parts.map(([bytes, digestFunction, size]) => {
          const { hash, sizeBytes } = Digest.ofBytes(bytes, digestFunction);
          return Digest.of(hash, sizeBytes === 0 ? 0 : size, digestFunction);
        });
        const plain = { missingBlobDigests: missingBlobDigests.map((digest) => digest.toMessage()) };
        for (const message of [{ missingBlobDigests }, plain]) {
          const parts = findMissingResponse.encodeParts?.(message) ?? [];
          expect(Buffer.concat(parts)).toEqual(Buffer.from(FindMissingBlobsResponse.encode(plain).finish()));
        }
      }),
    );
  });
});
