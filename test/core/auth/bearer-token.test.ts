import { describe, expect, it } from 'vitest';
import { bearerTokenOf } from '../../../core/auth/bearer-token.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { thrown } from '../../setup/rejection.ts';

const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;

describe('bearerTokenOf', () => {
  it.each([
    ['Bearer secret', 'secret'],
    ['bearer   secret ', 'secret'],
    [basic('anyone:secret'), 'secret'],
    [basic(':secret'), 'secret'],
    [basic('user:with:colons'), 'with:colons'],
  ])('finds the token in %j', (header, token) => {
    expect(bearerTokenOf(header)).toBe(token);
  });

  it.each(['', 'Bearer', 'Bearer ', 'secret', 'Digest x', basic('no colon'), basic('user:'), 'Basic ÿÿ'])(
    'refuses %j, and does not repeat it',
    (header) => {
      const error = thrown(() => bearerTokenOf(header));
      expect([error.code, error.message]).toEqual([
        Code.UNAUTHENTICATED,
        'the authorization header is not understood, expected `Bearer TOKEN`, or `Basic` with the token as password',
      ]);
    },
  );

  it('does not look at a header beyond its limit', () => {
    const error = thrown(() => bearerTokenOf(`Bearer ${'x'.repeat(16_384)}`));
    expect([error.code, error.message]).toEqual([
      Code.UNAUTHENTICATED,
      'the authorization header is longer than 16384 bytes',
    ]);
  });
});
