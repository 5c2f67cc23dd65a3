import { describe, expect, test } from 'vitest';
import { Digest } from '../../core/digest.ts';
import {
  missingBlobs,
  PRECONDITION_FAILURE_TYPE,
  packAny,
  RETRY_INFO_TYPE,
  retryInfo,
  unpackAny,
} from '../../core/error-details.ts';
import { PreconditionFailure, RetryInfo } from '../../proto/gen/google/rpc/error_details.ts';

describe('missingBlobs', () => {
  test('is a PreconditionFailure with a MISSING violation for each blob', () => {
    const one = Digest.ofBytes(Buffer.from('1'));
    const two = Digest.ofBytes(Buffer.from('22'));
    const any = missingBlobs([one, two]);
    expect(any.typeUrl).toBe('type.googleapis.com/google.rpc.PreconditionFailure');
    expect(unpackAny(PreconditionFailure, PRECONDITION_FAILURE_TYPE, any)).toEqual({
      violations: [
        { type: 'MISSING', subject: `blobs/${one.hash}/1`, description: '' },
        { type: 'MISSING', subject: `blobs/${two.hash}/2`, description: '' },
      ],
    });
  });
});

describe('retryInfo', () => {
  test.for([
    [0, { seconds: 0, nanos: 0 }],
    [250, { seconds: 0, nanos: 250_000_000 }],
    [1500, { seconds: 1, nanos: 500_000_000 }],
    [999.9999, { seconds: 1, nanos: 0 }],
    [60_000, { seconds: 60, nanos: 0 }],
  ] as const)('of %d ms', ([delayMs, retryDelay]) => {
    const any = retryInfo(delayMs);
    expect(any.typeUrl).toBe('type.googleapis.com/google.rpc.RetryInfo');
    expect(unpackAny(RetryInfo, RETRY_INFO_TYPE, any)).toEqual({ retryDelay });
  });
});

describe('unpackAny', () => {
  test('goes by the type name and not by what stands before it', () => {
    const any = { ...retryInfo(1000), typeUrl: 'example.com/types/google.rpc.RetryInfo' };
    expect(unpackAny(RetryInfo, RETRY_INFO_TYPE, any)).toEqual({ retryDelay: { seconds: 1, nanos: 0 } });
  });

  test('gives nothing for another type', () => {
    expect(unpackAny(PreconditionFailure, PRECONDITION_FAILURE_TYPE, retryInfo(1))).toBeUndefined();
    const almost = packAny(RetryInfo, 'x.google.rpc.RetryInfo', { retryDelay: undefined });
    expect(unpackAny(RetryInfo, RETRY_INFO_TYPE, almost)).toBeUndefined();
  });
});
