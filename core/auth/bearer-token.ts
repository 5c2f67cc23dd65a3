import { unauthenticated } from '../error.ts';

/** Longest Authorization header that is looked at; identity providers' tokens have 1 to 4 KiB. */
const HEADER_BYTES_MAX = 16 * 1024;

/**
 * The secret in an Authorization header: `Bearer TOKEN`, or `Basic` with the token as password and any user, for
 * clients that know nothing else. UNAUTHENTICATED for any other header.
 */
export function bearerTokenOf(authorization: string): string {
  if (authorization.length > HEADER_BYTES_MAX) {
    throw unauthenticated(`the authorization header is longer than ${HEADER_BYTES_MAX} bytes`);
  }
  const space = authorization.indexOf(' ');
  const scheme = authorization.slice(0, Math.max(space, 0)).toLowerCase();
  const rest = authorization.slice(space + 1).trim();
  if (scheme === 'bearer' && rest !== '') return rest;
  if (scheme === 'basic') {
    const pair = Buffer.from(rest, 'base64').toString('utf8');
    const colon = pair.indexOf(':');
    if (colon !== -1 && colon < pair.length - 1) return pair.slice(colon + 1);
  }
  throw unauthenticated(
    'the authorization header is not understood, expected `Bearer TOKEN`, or `Basic` with the token as password',
  );
}
