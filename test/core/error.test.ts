import { describe, expect, test } from 'vitest';
import * as errors from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';

const { IngotError, isIngotError, notFound, toIngotError, unavailable, withCode, wrap } = errors;

describe('factories', () => {
  test.for([
    [errors.invalidArgument, Code.INVALID_ARGUMENT],
    [errors.notFound, Code.NOT_FOUND],
    [errors.failedPrecondition, Code.FAILED_PRECONDITION],
    [errors.resourceExhausted, Code.RESOURCE_EXHAUSTED],
    [errors.unavailable, Code.UNAVAILABLE],
    [errors.deadlineExceeded, Code.DEADLINE_EXCEEDED],
    [errors.cancelled, Code.CANCELLED],
    [errors.outOfRange, Code.OUT_OF_RANGE],
    [errors.unimplemented, Code.UNIMPLEMENTED],
    [errors.aborted, Code.ABORTED],
    [errors.alreadyExists, Code.ALREADY_EXISTS],
    [errors.permissionDenied, Code.PERMISSION_DENIED],
    [errors.unauthenticated, Code.UNAUTHENTICATED],
    [errors.dataLoss, Code.DATA_LOSS],
    [errors.internal, Code.INTERNAL],
  ] as const)('%o makes errors of code %d', ([factory, code]) => {
    const cause = new Error('below');
    const error = factory('what happened', { cause, details: [retryInfo(1)] });
    expect(error).toBeInstanceOf(IngotError);
    expect(error).toMatchObject({ name: 'IngotError', code, message: 'what happened', cause });
    expect(error.details).toEqual([retryInfo(1)]);
  });

  test('without options there is no cause property and no detail', () => {
    const error = notFound('x');
    expect('cause' in error).toBe(false);
    expect(error.details).toEqual([]);
  });
});

describe('wrap', () => {
  test('adds a prefix and keeps code, details and the first cause', () => {
    const cause = new Error('disk');
    const inner = unavailable('store away', { cause, details: [retryInfo(5)] });
    expect(wrap(wrap(inner, 'read blob'), 'fetch input root')).toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'fetch input root: read blob: store away',
      cause,
      details: [retryInfo(5)],
    });
  });

  test('keeps the wrapped error itself as the cause when it had none', () => {
    const inner = notFound('x');
    expect(wrap(inner, 'p').cause).toBe(inner);
  });

  test('hides what an unknown error says, but keeps it as the cause', () => {
    const inner = new TypeError('password is hunter2');
    expect(wrap(inner, 'read blob')).toMatchObject({
      code: Code.INTERNAL,
      message: 'read blob: internal error',
      cause: inner,
    });
  });
});

describe('withCode', () => {
  test('changes the code and nothing else', () => {
    const inner = notFound('blob x', { details: [retryInfo(1)] });
    expect(withCode(inner, Code.FAILED_PRECONDITION)).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: 'blob x',
      details: [retryInfo(1)],
      cause: inner,
    });
  });
});

describe('toIngotError', () => {
  test('leaves an IngotError as it is', () => {
    const error = notFound('x');
    expect(toIngotError(error)).toBe(error);
  });

  test.for([new Error('secret'), 'secret', undefined, null, 7])(
    'makes %o INTERNAL "internal error"',
    (cause) => {
      expect(toIngotError(cause)).toMatchObject({ code: Code.INTERNAL, message: 'internal error' });
      expect(toIngotError(cause).cause).toBe(cause);
    },
  );
});

describe('isIngotError', () => {
  test('tells by class, and by code when asked', () => {
    expect(isIngotError(notFound('x'))).toBe(true);
    expect(isIngotError(notFound('x'), Code.NOT_FOUND)).toBe(true);
    expect(isIngotError(notFound('x'), Code.INTERNAL)).toBe(false);
    expect(isIngotError(new Error('x'))).toBe(false);
    expect(isIngotError({ code: Code.NOT_FOUND, message: 'x' })).toBe(false);
  });
});
