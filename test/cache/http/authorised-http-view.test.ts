import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Authenticator } from '../../../core/auth/authenticator.ts';
import { type CallerRole, callerRoleNames, callerRoles } from '../../../core/caller.ts';
import { unauthenticated } from '../../../core/error.ts';
import { sampleBlob } from '../bytes.ts';
import { openCacheServer } from '../cache-server.ts';

const byRole: Authenticator = {
  authenticate(authorization) {
    const role = callerRoleNames.find((name) => authorization === `Bearer ${name}`);
    if (role === undefined) throw unauthenticated('no role');
    return { name: role, rights: new Set(callerRoles[role]) };
  },
};

const { bytes, digest } = sampleBlob(100);
const READERS = callerRoleNames;
const WRITERS: readonly CallerRole[] = ['writer', 'publisher', 'worker', 'scheduler'];
const PUBLISHERS: readonly CallerRole[] = ['publisher', 'scheduler'];

/** Who may do what, and what is said to the others. To the store a value is a blob, which takes less: the view alone asks. */
const EXPECTED: readonly [request: string, allowed: readonly CallerRole[], refusal: string][] = [
  [`PUT /cas/${digest.hash}`, WRITERS, 'PUT /cas: ROLE lacks the right write'],
  [`GET /cas/${digest.hash}`, READERS, ''],
  [`PUT /ac/${digest.hash}`, PUBLISHERS, 'PUT /ac: ROLE lacks the right publish'],
  [`GET /ac/${digest.hash}`, READERS, ''],
  ['PUT /webdav/a', PUBLISHERS, 'PUT /webdav: ROLE lacks the right publish'],
  ['GET /webdav/a', READERS, ''],
  ['PROPFIND /webdav/', READERS, ''],
  ['DELETE /webdav/a', PUBLISHERS, 'DELETE /webdav: ROLE lacks the right publish'],
];

let server: Awaited<ReturnType<typeof openCacheServer>>;
let origin: string;

beforeAll(async () => {
  server = await openCacheServer();
  const { port } = await server.listenHttp({ host: '127.0.0.1', port: 0 }, { authenticator: byRole });
  origin = `http://127.0.0.1:${port}`;
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

it.each(EXPECTED)('%s is for %s', async (request, allowed, refusal) => {
  const [method = '', path] = request.split(' ');
  for (const role of callerRoleNames) {
    const response = await fetch(origin + path, {
      method,
      headers: { authorization: `Bearer ${role}`, depth: '1' },
      ...(method === 'PUT' && { body: Buffer.from(bytes) }),
    });
    const said = await response.text();
    if (allowed.includes(role)) expect(response.status, role).toBeOneOf([200, 201, 204, 207, 404]);
    else
      expect([response.status, said]).toEqual([403, `PERMISSION_DENIED: ${refusal.replace('ROLE', role)}\n`]);
  }
});
