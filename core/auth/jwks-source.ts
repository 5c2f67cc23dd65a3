import { readFile, stat } from 'node:fs/promises';
import { createLocalJWKSet, createRemoteJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { failedPrecondition } from '../error.ts';
import { quote } from '../quote.ts';

/** How long fetched keys are used before they are fetched again. */
const KEYS_KEPT_MS = 5 * 60_000;
/** Between two fetches for the sake of an unknown `kid`, which anyone may send. */
const COOLDOWN_MS = 30_000;
const FETCH_MS = 5_000;
/** How often a file of keys is looked at, at most. */
const FILE_LOOK_MS = 1_000;
/** A real one has a few KiB. */
const FILE_BYTES_MAX = 1024 * 1024;

/** Keys of an identity provider, from its JWKS endpoint. A new `kid` has them fetched again. */
export function jwksFromUrl(url: URL, { cooldownMs = COOLDOWN_MS } = {}): JWTVerifyGetKey {
  return createRemoteJWKSet(url, {
    cacheMaxAge: KEYS_KEPT_MS,
    cooldownDuration: cooldownMs,
    timeoutDuration: FETCH_MS,
  });
}

/** Keys in a file, read again when it changes; FAILED_PRECONDITION when it is no JWKS at the start. */
export async function jwksFromFile(path: string): Promise<JWTVerifyGetKey> {
  let { seen, keys } = await readKeys(path);
  let lookedMs = performance.now();
  return async (header, token) => {
    if (performance.now() - lookedMs >= FILE_LOOK_MS) {
      lookedMs = performance.now();
      if ((await stateOf(path)) !== seen) ({ seen, keys } = await readKeys(path));
    }
    return keys(header, token);
  };
}

async function readKeys(path: string): Promise<{ readonly seen: string; readonly keys: JWTVerifyGetKey }> {
  try {
    const seen = await stateOf(path);
    const { size } = await stat(path);
    if (size > FILE_BYTES_MAX) throw new Error(`it is larger than ${FILE_BYTES_MAX} bytes`);
    const keys = createLocalJWKSet(JSON.parse(await readFile(path, 'utf8')) as JSONWebKeySet);
    return { seen, keys };
  } catch (cause) {
    throw failedPrecondition(`read the keys in ${quote(path)}: ${(cause as Error).message}`, { cause });
  }
}

async function stateOf(path: string): Promise<string> {
  const { ino, size, mtimeMs } = await stat(path);
  return `${ino}.${size}.${mtimeMs}`;
}
