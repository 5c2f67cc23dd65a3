import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchReadRequest } from '../../../../cache/grpc/wire/batch-read-request.ts';
import { batchReadResponse } from '../../../../cache/grpc/wire/batch-read-response.ts';
import { batchUpdateRequest } from '../../../../cache/grpc/wire/batch-update-request.ts';
import { batchUpdateResponse } from '../../../../cache/grpc/wire/batch-update-response.ts';
import { parseHexText } from '../../../../core/hash-words.ts';
import { PackedDigest } from '../../../../core/packed-digest.ts';
import { decodeStrictly } from '../../../../core/rpc/rpc-decode.ts';
import type { MessageCodec } from '../../../../core/rpc/rpc-service.ts';
import { okStatus } from '../../../../core/rpc/rpc-status.ts';
import {
  BatchReadBlobsRequest,
  BatchReadBlobsResponse,
  type BatchReadBlobsResponse_Response,
  BatchUpdateBlobsRequest,
  BatchUpdateBlobsResponse,
} from '../../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { damaged, digests, expectSameDecoding, field, messageOf, sizes } from './wire-messages.ts';

const instanceNames = fc.constantFrom('', 'team/a', 'größe').map((name) => field.text(1, name));
const smallNumbers = fc.constantFrom(0, 1, 9, 127, 128, 2 ** 31, -1);

const updates = messageOf(
  messageOf(
    digests.map((digest) => field.bytes(1, digest)),
    fc.uint8Array({ maxLength: 40 }).map((data) => field.bytes(2, data)),
    smallNumbers.map((compressor) => field.varint(3, compressor)),
  ).map((request) => field.bytes(2, request)),
  instanceNames,
  smallNumbers.map((value) => field.varint(5, value)),
);

const reads = messageOf(
  digests.map((digest) => field.bytes(2, digest)),
  fc.uint8Array({ maxLength: 3 }).map((packed) => field.bytes(3, packed)),
  smallNumbers.map((compressor) => field.varint(3, compressor)),
  instanceNames,
  smallNumbers.map((value) => field.varint(4, value)),
);

it.each([
  ['BatchUpdateBlobs', batchUpdateRequest, BatchUpdateBlobsRequest, updates],
  ['BatchReadBlobs', batchReadRequest, BatchReadBlobsRequest, reads],
] as [string, MessageCodec<unknown>, MessageCodec<unknown>, fc.Arbitrary<Uint8Array>][])(
  'decodes the request of %s as the generated codec does, damaged or not',
  (_, hand, generated, requests) => {
    fc.assert(
      fc.property(damaged(requests), (bytes) => expectSameDecoding(hand, generated, bytes)),
      { numRuns: 3000 },
    );
  },
);

it('gives data as views of the request, not as copies', () => {
  const digest = { hash: '0'.repeat(64), sizeBytes: 3 };
  const request = {
    instanceName: '',
    requests: [{ digest, data: Buffer.from('abc'), compressor: 0 as const }],
  };
  const bytes = BatchUpdateBlobsRequest.encode({ ...request, digestFunction: 0 }).finish();
  const [item] = decodeStrictly(batchUpdateRequest, bytes).requests;
  expect(item?.digest).toBeInstanceOf(PackedDigest);
  expect(item?.data.buffer).toBe(bytes.buffer);
});

describe('responses', () => {
  const hash = '0123456789abcdef'.repeat(4);
  const words = parseHexText(hash)!;
  const packed = sizes.filter((size) => size >= 0).map((size) => new PackedDigest(words, size));
  const messages = fc.oneof(
    { weight: 9, arbitrary: packed },
    { weight: 1, arbitrary: fc.constantFrom(undefined, { hash: 'not hex', sizeBytes: -5 }) },
  );
  const statuses = fc.oneof(
    fc.constant(okStatus),
    fc.record({
      code: fc.integer({ min: 0, max: 16 }),
      message: fc.string({ maxLength: 200 }),
      details: fc.array(fc.record({ typeUrl: fc.string(), value: fc.uint8Array() }), { maxLength: 2 }),
    }),
  );
  const payloads = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.constantFrom(16_384, 16_385, 40_000).map((length) => new Uint8Array(length).fill(7)),
  );

  function expectSameBytes<T>(hand: MessageCodec<T>, generated: MessageCodec<T>, message: T): void {
    const bytes = Buffer.concat(hand.encodeParts?.(message) ?? []);
    expect(bytes.equals(generated.encode(message).finish())).toBe(true);
  }

  it('of BatchUpdateBlobs is encoded as by the generated codec', () => {
    const response = fc.record({ digest: messages, status: statuses });
    fc.assert(
      fc.property(fc.array(response, { maxLength: 80 }), (responses) =>
        expectSameBytes(batchUpdateResponse, BatchUpdateBlobsResponse, { responses }),
      ),
    );
  });

  it('of BatchReadBlobs is encoded as by the generated codec, small and large payloads', () => {
    const response = fc.record({
      digest: messages,
      data: payloads,
      status: statuses,
      compressor: fc.constantFrom(0, 1, 200),
    }) as fc.Arbitrary<BatchReadBlobsResponse_Response>;
    fc.assert(
      fc.property(fc.array(response, { maxLength: 20 }), (responses) =>
        expectSameBytes(batchReadResponse, BatchReadBlobsResponse, { responses }),
      ),
    );
  });

  it('of BatchReadBlobs takes large payloads along without copying them', () => {
    const data = Buffer.alloc(20_000, 1);
    const response = {
      digest: new PackedDigest(words, 20_000),
      data,
      status: okStatus,
      compressor: 0 as const,
    };
    expect(batchReadResponse.encodeParts?.({ responses: [response] })).toContain(data);
  });
});
