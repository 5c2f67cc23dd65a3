import { describe, expect, it } from 'vitest';
import { HeaderField } from '../../../core/http2/header-field.ts';
import { RequestHeaders, trailersFault } from '../../../core/http2/request-headers.ts';

const fieldsOf = (...fields: readonly (readonly [string, string])[]) =>
  fields.map(([name, value]) => new HeaderField(name, value));
const POST = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/a'],
] as const;

describe('RequestHeaders', () => {
  it('reads what each call needs, and gives the rest by name', () => {
    const headers = new RequestHeaders(
      fieldsOf(
        ...POST,
        [':authority', 'host'],
        ['content-type', 'application/grpc'],
        ['grpc-timeout', '1S'],
        ['grpc-encoding', 'gzip'],
        ['x', '1'],
        ['x', '2'],
        ['te', 'trailers'],
      ),
    );
    expect(headers).toMatchObject({
      fault: undefined,
      method: 'POST',
      path: '/a',
      contentType: 'application/grpc',
      timeout: '1S',
      encoding: 'gzip',
      contentLength: undefined,
    });
    expect(headers.get('x')).toBe('1,2');
    expect(headers.get('y')).toBeUndefined();
  });

  const NOT_ALLOWED = 'it has a header that no request may have';
  const PSEUDO = 'a pseudo-header is unknown, empty or there twice';
  it.each([
    [[...POST, ['Upper', 'x']], NOT_ALLOWED],
    [[...POST, ['connection', 'x']], NOT_ALLOWED],
    [[...POST, ['transfer-encoding', 'chunked']], NOT_ALLOWED],
    [[...POST, ['te', 'gzip']], NOT_ALLOWED],
    [[...POST, ['', 'x']], NOT_ALLOWED],
    [[...POST, ['a b', 'x']], NOT_ALLOWED],
    [[...POST, ['x', 'a\nb']], NOT_ALLOWED],
    [[...POST, ['x', 'a\0b']], NOT_ALLOWED],
    [[...POST, [':path', '/b']], PSEUDO],
    [[...POST, [':status', '200']], PSEUDO],
    [[...POST, [':authority', 'a'], [':authority', 'b']], PSEUDO],
    [[...POST.slice(0, 2), [':path', '']], PSEUDO],
    [[...POST.slice(0, 2), ['x', 'y'], [':path', '/']], 'a pseudo-header stands after other headers'],
    [POST.slice(0, 2), 'a pseudo-header is missing'],
    [POST.slice(1), 'a pseudo-header is missing'],
  ] as [[string, string][], string][])('finds the fault of %j', (fields, fault) => {
    expect(new RequestHeaders(fieldsOf(...fields)).fault).toBe(fault);
  });

  it('takes trailers that are plain headers, and no others', () => {
    expect(trailersFault(fieldsOf(['x', 'y']))).toBeUndefined();
    const fault = 'a trailer is a pseudo-header, or one that no request may have';
    expect(trailersFault(fieldsOf(['x', 'y'], [':path', '/']))).toBe(fault);
    expect(trailersFault(fieldsOf(['X', 'y']))).toBe(fault);
  });
});
