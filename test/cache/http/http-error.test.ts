import { expect, it } from 'vitest';
import { httpError } from '../../../cache/http/http-error.ts';
import { IngotError, resourceExhausted, unavailable } from '../../../core/error.ts';
import { retryInfo } from '../../../core/error-details.ts';
import { Code, codeToJSON } from '../../../proto/gen/google/rpc/code.ts';

it.each([
  [Code.INVALID_ARGUMENT, 400],
  [Code.UNAUTHENTICATED, 401],
  [Code.PERMISSION_DENIED, 403],
  [Code.NOT_FOUND, 404],
  [Code.FAILED_PRECONDITION, 409],
  [Code.OUT_OF_RANGE, 416],
  [Code.CANCELLED, 499],
  [Code.UNIMPLEMENTED, 501],
  [Code.UNAVAILABLE, 503],
  [Code.DEADLINE_EXCEEDED, 504],
  [Code.RESOURCE_EXHAUSTED, 507],
  [Code.DATA_LOSS, 500],
  [Code.INTERNAL, 500],
])('code %i is HTTP status %i', (code, status) => {
  const error = new IngotError(code, 'why', { cause: new Error('secret') });
  expect(httpError(error)).toMatchObject({ status, body: `${codeToJSON(code)}: why\n` });
});

it('tells nothing of an error that is not ours', () => {
  expect(httpError(new Error('secret'))).toMatchObject({
    status: 500,
    body: 'INTERNAL: internal error\n',
  });
});

it('says when to try again: as RetryInfo says, in whole seconds, or soon after UNAVAILABLE', () => {
  const seconds = (error: unknown) => httpError(error).retryAfterSeconds;
  expect(seconds(unavailable('away'))).toBe(1);
  expect(seconds(unavailable('away', { details: [retryInfo(2500)] }))).toBe(3);
  expect(seconds(resourceExhausted('full', { details: [retryInfo(60_000)] }))).toBe(60);
  expect(seconds(resourceExhausted('full'))).toBeUndefined();
  expect(seconds(new Error('secret'))).toBeUndefined();
});
