import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWTHeaderParameters,
  type JWTPayload,
  SignJWT,
} from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { jwksFromUrl } from '../../../core/auth/jwks-source.ts';
import { JwtAuthenticator } from '../../../core/auth/jwt-authenticator.ts';
import type { Caller } from '../../../core/caller.ts';
import { retryInfo } from '../../../core/error-details.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { rejection, thrown } from '../../setup/rejection.ts';

const NOW_S = 1_800_000_000;
type Keys = Awaited<ReturnType<typeof generateKeyPair>>;
let first: Keys;
let second: Keys;

beforeAll(async () => {
  first = await generateKeyPair('ES256', { extractable: true });
  second = await generateKeyPair('ES256', { extractable: true });
});

/** A provider that serves these keys by `kid`; `fetches` counts. */
async function provider() {
  const state = { keys: new Map<string, Keys>(), away: false, fetches: 0 };
  const server = createServer(async (_request, response) => {
    state.fetches += 1;
    const keys = [...state.keys].map(async ([kid, { publicKey }]) => ({
      ...(await exportJWK(publicKey)),
      kid,
    }));
    response.statusCode = state.away ? 503 : 200;
    response.end(JSON.stringify({ keys: await Promise.all(keys) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    state,
    url: new URL(`http://127.0.0.1:${port}/keys`),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function sign(
  keys: Keys,
  claims: JWTPayload = {},
  header: Partial<JWTHeaderParameters> = {},
): Promise<string> {
  return new SignJWT({
    iss: 'https://id.example',
    aud: 'ingot',
    sub: 'ann',
    exp: NOW_S + 600,
    ingot_role: 'writer',
    ...claims,
  })
    .setProtectedHeader({ alg: 'ES256', kid: 'one', ...header })
    .sign(keys.privateKey);
}

async function setUp(options: { readonly roleClaim?: string; readonly instancesClaim?: string } = {}) {
  const served = await provider();
  served.state.keys.set('one', first);
  const clock = { nowS: NOW_S };
  const authenticator = new JwtAuthenticator({
    keys: jwksFromUrl(served.url, { cooldownMs: 0 }),
    issuer: 'https://id.example',
    audience: 'ingot',
    roleClaim: 'ingot_role',
    nowMs: () => clock.nowS * 1000,
    ...options,
  });
  const refusal = async (token: string): Promise<readonly [Code, string]> => {
    const { code, message } = await rejection((async () => authenticator.authenticate(`Bearer ${token}`))());
    return [code, message];
  };
  return { ...served, clock, authenticator, refusal };
}

describe('JwtAuthenticator', () => {
  it('finds the role and the instances, and answers at once for a token it has seen', async () => {
    await using under = await setUp({ roleClaim: 'realm.roles', instancesClaim: 'teams' });
    const token = await sign(first, { realm: { roles: ['offline', 'reader', 'worker'] }, teams: ['a', 'b'] });
    const caller: Caller = {
      name: 'ann',
      rights: new Set(['read', 'write', 'work']),
      instanceNames: new Set(['a', 'b']),
    };
    const unseen = under.authenticator.authenticate(`Bearer ${token}`);
    expect(unseen).toBeInstanceOf(Promise);
    expect(await unseen).toEqual(caller);
    expect(under.authenticator.authenticate(`Bearer ${token}`)).toEqual(caller);
    expect(under.state.fetches).toBe(1);
  });

  it('lets a token without the claim of instances use none of them', async () => {
    await using under = await setUp({ instancesClaim: 'teams' });
    const caller = await under.authenticator.authenticate(`Bearer ${await sign(first)}`);
    expect(caller.instanceNames).toEqual(new Set());
  });

  it('refuses what is not for us, or names no role', async () => {
    await using under = await setUp();
    const not = (why: string) => [Code.UNAUTHENTICATED, `the JWT is not accepted: ${why}`];
    expect(await under.refusal(await sign(first, { aud: 'other' }))).toEqual(
      not('unexpected "aud" claim value'),
    );
    expect(await under.refusal(await sign(first, { iss: 'https://other' }))).toEqual(
      not('unexpected "iss" claim value'),
    );
    expect(await under.refusal(await sign(first, { exp: NOW_S - 31 }))).toEqual(
      not('"exp" claim timestamp check failed'),
    );
    expect(await under.refusal(await sign(first, { nbf: NOW_S + 31 }))).toEqual(
      not('"nbf" claim timestamp check failed'),
    );
    expect(await under.refusal(await sign(second))).toEqual(not('signature verification failed'));
    expect(await under.refusal('nonsense')).toEqual(not('Invalid Compact JWS'));
    expect(await under.refusal(await sign(first, { ingot_role: 'admin' }))).toEqual([
      Code.UNAUTHENTICATED,
      'the JWT of ann is good, but its claim ingot_role names none of reader, writer, publisher, worker, scheduler',
    ]);
  });

  it('refuses tokens without a signature, and ones signed with the public key as a shared secret', async () => {
    await using under = await setUp();
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = {
      iss: 'https://id.example',
      aud: 'ingot',
      sub: 'eve',
      exp: NOW_S + 600,
      ingot_role: 'worker',
    };
    const unsigned = `${part({ alg: 'none' })}.${part(claims)}.`;
    const [code, message] = await under.refusal(unsigned);
    expect([code, message]).toEqual([
      Code.UNAUTHENTICATED,
      'the JWT is not accepted: "alg" (Algorithm) Header Parameter value not allowed',
    ]);
    const publicPem = Buffer.from(await exportSPKI(first.publicKey));
    const forged = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'one' }).sign(publicPem);
    expect(await under.refusal(forged)).toEqual([
      Code.UNAUTHENTICATED,
      'the JWT is not accepted: "alg" (Algorithm) Header Parameter value not allowed',
    ]);
  });

  it('ends a token it has seen when it expires, with the stated skew', async () => {
    await using under = await setUp();
    const token = await sign(first, { exp: NOW_S + 10 });
    await under.authenticator.authenticate(`Bearer ${token}`);
    under.clock.nowS += 39;
    expect(under.authenticator.authenticate(`Bearer ${token}`)).toMatchObject({ name: 'ann' });
    under.clock.nowS += 1;
    const error = thrown(() => under.authenticator.authenticate(`Bearer ${token}`));
    expect([error.code, error.message]).toEqual([Code.UNAUTHENTICATED, 'the JWT of ann has expired']);
  });

  it('follows the provider to a new key, and lets go of one that is withdrawn', async () => {
    await using under = await setUp();
    const old = await sign(first);
    await under.authenticator.authenticate(`Bearer ${old}`);
    under.state.keys.set('two', second);
    under.state.keys.delete('one');
    const fresh = await sign(second, {}, { kid: 'two' });
    expect(await under.authenticator.authenticate(`Bearer ${fresh}`)).toMatchObject({ name: 'ann' });
    under.clock.nowS += 60;
    expect(await under.refusal(old)).toEqual([
      Code.UNAUTHENTICATED,
      'the JWT is not accepted: no applicable key found in the JSON Web Key Set',
    ]);
  });

  it('says UNAVAILABLE, and when to try again, while the keys cannot be had', async () => {
    await using under = await setUp();
    under.state.away = true;
    const token = await sign(first);
    const error = await rejection((async () => under.authenticator.authenticate(`Bearer ${token}`))());
    expect(error).toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'the keys that JWTs are checked with cannot be had for now',
      details: [retryInfo(5000)],
    });
  });
});
