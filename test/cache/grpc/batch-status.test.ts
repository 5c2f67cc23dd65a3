import { describe, expect, it } from 'vitest';
import { statusOf } from '../../../cache/grpc/batch-status.ts';
import { notFound, unavailable } from '../../../core/error.ts';
import { retryInfo } from '../../../core/error-details.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';

describe('statusOf', () => {
  it('says when to try again with what is UNAVAILABLE, and nothing more of the rest', () => {
    expect(statusOf(unavailable('away'))).toEqual({
      code: Code.UNAVAILABLE,
      message: 'away',
      details: [retryInfo(1000)],
    });
    expect(statusOf(notFound('gone'))).toEqual({ code: Code.NOT_FOUND, message: 'gone', details: [] });
  });
});
