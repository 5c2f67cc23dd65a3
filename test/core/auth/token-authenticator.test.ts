import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { changeTokenFile } from '../../../core/auth/change-token-file.ts';
import { TokenAuthenticator } from '../../../core/auth/token-authenticator.ts';
import { readTokenFile } from '../../../core/auth/token-file.ts';
import type { TokenRecord } from '../../../core/auth/token-record.ts';
import { newToken, tokenHash } from '../../../core/auth/token-secret.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { recordingLogger } from '../../setup/recording-logger.ts';
import { rejection, thrown } from '../../setup/rejection.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

const NOW_MS = Date.parse('2026-01-01T00:00:00.000Z');

function record(token: string, changes: Partial<TokenRecord> = {}): TokenRecord {
  return {
    name: 'ci',
    role: 'writer',
    sha256: tokenHash(token),
    created: '2025-12-01T00:00:00.000Z',
    ...changes,
  };
}

async function openWith(records: readonly TokenRecord[], nowMs = () => NOW_MS) {
  const folder = await tempFolder();
  const path = join(folder.path, 'tokens.json');
  await changeTokenFile(path, () => records);
  const logger = recordingLogger();
  const authenticator = await TokenAuthenticator.open({ path, logger, nowMs });
  return {
    path,
    logger,
    authenticator,
    async [Symbol.asyncDispose]() {
      await authenticator.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe('TokenAuthenticator', () => {
  it('knows a token by its hash, with its role and instances', async () => {
    const [any, bound] = [newToken(), newToken()];
    await using opened = await openWith([
      record(any),
      record(bound, { name: 'team-a', role: 'reader', instances: ['a', ''] }),
    ]);
    expect(opened.authenticator.authenticate(`Bearer ${any}`)).toEqual({
      name: 'ci',
      rights: new Set(['read', 'write', 'execute']),
      instanceNames: undefined,
    });
    expect(opened.authenticator.authenticate(`Bearer ${bound}`)).toEqual({
      name: 'team-a',
      rights: new Set(['read']),
      instanceNames: new Set(['a', '']),
    });
  });

  it('refuses a call without a token, an unknown one, and one that differs in its last character', async () => {
    const token = newToken();
    await using opened = await openWith([record(token)]);
    const refusal = (header: string | undefined) => {
      const { code, message } = thrown(() => opened.authenticator.authenticate(header));
      return [code, message];
    };
    expect(refusal(undefined)).toEqual([
      Code.UNAUTHENTICATED,
      'no credential came with the call, expected a token in the authorization header',
    ]);
    const unknown = [Code.UNAUTHENTICATED, 'the token is not known here; it may have been revoked'];
    expect(refusal(`Bearer ${newToken()}`)).toEqual(unknown);
    expect(refusal(`Bearer ${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`)).toEqual(unknown);
    // What is in the file is no token.
    expect(refusal(`Bearer ${tokenHash(token)}`)).toEqual(unknown);
  });

  it('refuses a token from the moment it expires', async () => {
    const token = newToken();
    let nowMs = NOW_MS;
    await using opened = await openWith(
      [record(token, { expires: '2026-01-01T00:00:01.000Z' })],
      () => nowMs,
    );
    expect(opened.authenticator.authenticate(`Bearer ${token}`).name).toBe('ci');
    nowMs += 1000;
    const error = thrown(() => opened.authenticator.authenticate(`Bearer ${token}`));
    expect([error.code, error.message]).toEqual([
      Code.UNAUTHENTICATED,
      'the token ci expired on 2026-01-01T00:00:01.000Z',
    ]);
  });

  it('learns of new and of revoked tokens while it runs', async () => {
    const [first, second] = [newToken(), newToken()];
    await using opened = await openWith([record(first)]);
    const { authenticator, path } = opened;
    await changeTokenFile(path, () => [record(second, { name: 'second' })]);
    await expect.poll(() => nameOrCode(authenticator, second), { timeout: 5000 }).toBe('second');
    expect(nameOrCode(authenticator, first)).toBe(Code.UNAUTHENTICATED);
  });

  it('lets nobody in when its file is removed, and goes on with the last state when it is damaged', async () => {
    const token = newToken();
    await using opened = await openWith([record(token)]);
    const { authenticator, path, logger } = opened;
    await writeFile(path, '{"version":1,');
    await expect
      .poll(() => logger.lines.map(({ message }) => message), { timeout: 5000 })
      .toContain('the token file cannot be read, its last state goes on');
    expect(nameOrCode(authenticator, token)).toBe('ci');
    await rm(path);
    await expect.poll(() => nameOrCode(authenticator, token), { timeout: 5000 }).toBe(Code.UNAUTHENTICATED);
  });

  it('does not open without its file, or with one that is none', async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, 'tokens.json');
    const absent = await rejection(TokenAuthenticator.open({ path, logger: silentLogger }));
    expect([absent.code, absent.message]).toEqual([Code.NOT_FOUND, `token file "${path}" is not there`]);
    await writeFile(path, '{"version":2,"tokens":[]}');
    const newer = await rejection(TokenAuthenticator.open({ path, logger: silentLogger }));
    expect(newer.code).toBe(Code.FAILED_PRECONDITION);
    expect(newer.message).toContain(`token file "${path}": version: `);
  });
});

describe('changeTokenFile', () => {
  it('keeps the file to its owner and loses no change of many at once', async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, 'tokens.json');
    const names = Array.from({ length: 12 }, (_, index) => `t${index}`);
    const add = (name: string) =>
      changeTokenFile(path, (tokens) => [...tokens, record(newToken(), { name })]);
    await Promise.all(names.map(add));
    expect((await readTokenFile(path)).map(({ name }) => name).toSorted()).toEqual(names.toSorted());
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('takes over from a change whose process died', async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, 'tokens.json');
    await writeFile(`${path}.lock`, '');
    const { utimes } = await import('node:fs/promises');
    await utimes(`${path}.lock`, 0, 0);
    await changeTokenFile(path, () => [record(newToken())]);
    expect(await readTokenFile(path)).toHaveLength(1);
  });
});

function nameOrCode(authenticator: TokenAuthenticator, token: string): string | number {
  try {
    return authenticator.authenticate(`Bearer ${token}`).name;
  } catch (error) {
    return (error as { code: number }).code;
  }
}
