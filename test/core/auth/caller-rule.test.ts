import { describe, expect, it } from 'vitest';
import { callerByRules, parseCallerRule } from '../../../core/auth/caller-rule.ts';
import { CertificateAuthenticator } from '../../../core/auth/certificate-authenticator.ts';
import { CredentialAuthenticator } from '../../../core/auth/credential-authenticator.ts';
import { callerRoles } from '../../../core/caller.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { thrown } from '../../setup/rejection.ts';

describe('parseCallerRule', () => {
  it('reads a pattern, a role, and instances', () => {
    expect(parseCallerRule('worker-*=worker')).toEqual({
      pattern: 'worker-*',
      role: 'worker',
      instances: undefined,
    });
    expect(parseCallerRule('spiffe://x/a=reader:a+a/b+')).toEqual({
      pattern: 'spiffe://x/a',
      role: 'reader',
      instances: ['a', 'a/b', ''],
    });
  });

  it.each(['', 'x', '=reader', 'x=admin', 'x=', 'x=reader,y=reader'])('refuses %j', (text) => {
    const error = thrown(() => parseCallerRule(text));
    expect([error.code, error.message]).toEqual([
      Code.INVALID_ARGUMENT,
      `${JSON.stringify(text)} is not PATTERN=ROLE or PATTERN=ROLE:INSTANCE+INSTANCE with a role of reader, writer, publisher, worker, scheduler`,
    ]);
  });
});

describe('callerByRules', () => {
  it.each([
    ['a', 'a', true],
    ['a', 'ab', false],
    ['*', '', true],
    ['a*', 'a', true],
    ['a*c', 'abbc', true],
    ['a*c', 'abcd', false],
    ['*a*b*', 'xxaxxbxx', true],
    ['*ab', 'aab', true],
    ['a.c', 'abc', false],
    ['*a'.repeat(50), 'a'.repeat(10_000), true],
    [`${'*a'.repeat(50)}b`, 'a'.repeat(10_000), false],
  ])('%j and %j', (pattern, name, fits) => {
    const rule = { pattern, role: 'reader', instances: undefined } as const;
    expect(callerByRules(name, [rule]) !== undefined).toBe(fits);
  });

  it('takes the first rule that fits', () => {
    const rules = ['ci-main=publisher:main', 'ci-*=writer'].map(parseCallerRule);
    expect(callerByRules('ci-main', rules)).toEqual({
      name: 'ci-main',
      rights: new Set(callerRoles.publisher),
      instanceNames: new Set(['main']),
    });
    expect(callerByRules('ci-x', rules)?.rights).toEqual(new Set(callerRoles.writer));
  });
});

describe('CertificateAuthenticator', () => {
  const rules = [parseCallerRule('worker-*=worker')];
  const good = { name: 'worker-1', expiresAtMs: 2000, problem: undefined };
  const authenticator = new CertificateAuthenticator({ rules, nowMs: () => 1000 });

  it('knows a certificate by its name', () => {
    expect(authenticator.authenticate(undefined, good).rights).toEqual(new Set(callerRoles.worker));
  });

  it.each([
    [undefined, 'the client showed no certificate'],
    [
      { ...good, problem: 'SELF_SIGNED_CERT_IN_CHAIN' },
      'the client certificate "worker-1" is not accepted: SELF_SIGNED_CERT_IN_CHAIN',
    ],
    [{ ...good, expiresAtMs: 1000 }, 'the client certificate "worker-1" has expired'],
    [{ ...good, expiresAtMs: Number.NaN }, 'the client certificate "worker-1" has expired'],
    [{ ...good, name: 'x' }, 'the client certificate "x" is good, but no rule gives it a role'],
  ])('refuses %j', (certificate, message) => {
    const error = thrown(() => authenticator.authenticate(undefined, certificate));
    expect([error.code, error.message]).toEqual([Code.UNAUTHENTICATED, message]);
  });

  it('is asked only where no token came, and a token of an unknown kind is not passed over', () => {
    const both = new CredentialAuthenticator({ certificates: authenticator });
    expect(both.authenticate(undefined, good)).toMatchObject({ name: 'worker-1' });
    expect(thrown(() => both.authenticate('Bearer x', good)).message).toBe(
      'this server takes no token of this kind',
    );
    expect(thrown(() => both.authenticate(undefined, undefined)).message).toBe(
      'no credential came with the call, expected a client certificate',
    );
  });
});
