import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IngotError, invalidArgument, notFound, unavailable } from '../../../core/error.ts';
import { PRECONDITION_FAILURE_TYPE, packAny, retryInfo, unpackAny } from '../../../core/error-details.ts';
import { errorFromStatus, statusOf, statusTrailers } from '../../../core/rpc/rpc-status.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { PreconditionFailure } from '../../../proto/gen/google/rpc/error_details.ts';

function parse(trailers: ReturnType<typeof statusTrailers>): IngotError {
  const details = trailers['grpc-status-details-bin'];
  return errorFromStatus(
    Number(trailers['grpc-status']),
    decodeURIComponent(String(trailers['grpc-message'])),
    typeof details === 'string' ? Buffer.from(details, 'base64') : undefined,
  );
}

function trailerBytes(trailers: ReturnType<typeof statusTrailers>): number {
  return Object.entries(trailers).reduce(
    (sum, [name, value]) => sum + name.length + String(value).length + 32,
    0,
  );
}

const violations = (count: number) =>
  packAny(PreconditionFailure, PRECONDITION_FAILURE_TYPE, {
    violations: Array.from({ length: count }, (_, index) => ({
      type: 'MISSING',
      subject: `blobs/${'0'.repeat(64)}/${index}`,
      description: '',
    })),
  });

describe('statusTrailers', () => {
  it('says OK with no more than that', () => {
    expect(statusTrailers(undefined)).toEqual({ 'grpc-status': '0' });
  });

  it('leaves out the details when there are none', () => {
    expect(statusTrailers(invalidArgument('no'))).toEqual({ 'grpc-status': '3', 'grpc-message': 'no' });
  });

  it('percent-encodes all but printable ASCII, and the percent sign', () => {
    expect(statusTrailers(invalidArgument('100% größer\n\u{1f600}~'))['grpc-message']).toBe(
      '100%25 gr%C3%B6%C3%9Fer%0A%F0%9F%98%80~',
    );
  });

  it('brings any message and its details back', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('a', '%', '~', '\n', 'ü', '\u{1f600}', '\ud800'),
          minLength: 1,
          maxLength: 40,
        }),
        fc.integer({ min: 1, max: 16 }),
        (message, code) => {
          const error = new IngotError(code as Code, message, { details: [retryInfo(1500)] });
          const parsed = parse(statusTrailers(error));
          expect(parsed).toMatchObject({ code, message: message.toWellFormed() });
          expect(parsed.details).toEqual([retryInfo(1500)]);
        },
      ),
    );
  });

  it('says when to try again with every UNAVAILABLE', () => {
    expect(parse(statusTrailers(unavailable('away'))).details).toEqual([retryInfo(1000)]);
    expect(parse(statusTrailers(unavailable('away', { details: [retryInfo(70)] }))).details).toEqual([
      retryInfo(70),
    ]);
    expect(parse(statusTrailers(unavailable('away', { details: [violations(1)] }))).details).toEqual([
      violations(1),
      retryInfo(1000),
    ]);
  });

  it('does not send a code that is none', () => {
    expect(statusTrailers(new IngotError(Code.OK, 'odd'))['grpc-status']).toBe('2');
    expect(statusTrailers(new IngotError(Code.UNRECOGNIZED, 'odd'))['grpc-status']).toBe('2');
  });

  it('cuts a long message where a character ends', () => {
    const message = parse(statusTrailers(invalidArgument('ü'.repeat(5000)))).message;
    expect(message).toBe(`${'ü'.repeat(213)}...`);
    expect(parse(statusTrailers(invalidArgument('u'.repeat(5000)))).message).toBe(`${'u'.repeat(1280)}...`);
  });

  it('sends the first violations of a PreconditionFailure that is too long, and stays below 8 KiB', () => {
    const trailers = statusTrailers(
      new IngotError(Code.FAILED_PRECONDITION, 'x'.repeat(4000), {
        details: [violations(1000), retryInfo(1)],
      }),
    );
    expect(trailerBytes(trailers)).toBeLessThan(8192);
    const [detail] = parse(trailers).details;
    const failure = unpackAny(PreconditionFailure, PRECONDITION_FAILURE_TYPE, detail!);
    expect(failure!.violations.length).toBeGreaterThan(30);
    expect(failure!.violations[0]!.subject).toBe(`blobs/${'0'.repeat(64)}/0`);
  });

  it('leaves out a PreconditionFailure that is too long and damaged', () => {
    const damaged = {
      typeUrl: 'type.googleapis.com/google.rpc.PreconditionFailure',
      value: Buffer.alloc(10_000, 0xff),
    };
    const error = new IngotError(Code.FAILED_PRECONDITION, 'no', { details: [damaged] });
    expect(parse(statusTrailers(error)).details).toEqual([]);
  });

  it('leaves out other details that are too long, and keeps those that fit', () => {
    const huge = { typeUrl: 'type.googleapis.com/google.rpc.DebugInfo', value: Buffer.alloc(10_000) };
    const error = new IngotError(Code.INTERNAL, 'no', { details: [huge, retryInfo(5)] });
    expect(parse(statusTrailers(error)).details).toEqual([retryInfo(5)]);
  });
});

describe('errorFromStatus', () => {
  it('names the code where the server sent no message', () => {
    expect(errorFromStatus(5, '', undefined)).toMatchObject({ code: Code.NOT_FOUND, message: 'NOT_FOUND' });
  });

  it('takes a code beyond the known ones as UNKNOWN', () => {
    expect(errorFromStatus(99, 'odd', undefined)).toMatchObject({ code: Code.UNKNOWN, message: 'odd' });
  });

  it('keeps code and message when the details are damaged', () => {
    expect(errorFromStatus(5, 'gone', Buffer.from([0xff]))).toMatchObject({
      code: 5,
      message: 'gone',
      details: [],
    });
  });
});

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
