import { hash, randomBytes } from 'node:crypto';

/** So that a token is known for what it is, by us, by people and by programs that look for leaked secrets. */
export const TOKEN_PREFIX = 'ingot_';
const SECRET_BYTES = 32;

/** A new static token; it is shown once and kept nowhere. */
export function newToken(): string {
  return TOKEN_PREFIX + randomBytes(SECRET_BYTES).toString('base64url');
}

/** What is kept of a token, and what it is found by. */
export function tokenHash(token: string): string {
  return hash('sha256', token, 'hex');
}
