import { open, rm, stat } from 'node:fs/promises';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { delay } from '../abort.ts';
import { failedPrecondition, isIngotError } from '../error.ts';
import { quote } from '../quote.ts';
import { readTokenFile, writeTokenFile } from './token-file.ts';
import type { TokenRecord } from './token-record.ts';

/** A change takes milliseconds: who has held the lock for so long has died. */
const STALE_MS = 10_000;
const WAIT_MS = 20_000;
const RETRY_MS = 20;

/**
 * Puts what `change` makes of a file's tokens in their place; a file that is not there has none. One change at a time,
 * so that none is lost: a token that was revoked must not come back.
 */
export async function changeTokenFile(
  path: string,
  change: (tokens: readonly TokenRecord[]) => readonly TokenRecord[],
): Promise<void> {
  const lock = `${path}.lock`;
  await acquire(lock);
  try {
    await writeTokenFile(path, change(await currentTokens(path)));
  } finally {
    await rm(lock, { force: true });
  }
}

async function currentTokens(path: string): Promise<readonly TokenRecord[]> {
  try {
    return await readTokenFile(path);
  } catch (error) {
    if (isIngotError(error, Code.NOT_FOUND)) return [];
    throw error;
  }
}

async function acquire(lock: string): Promise<void> {
  const endMs = performance.now() + WAIT_MS;
  for (;;) {
    try {
      await (await open(lock, 'wx')).close();
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    if (performance.now() > endMs) {
      throw failedPrecondition(
        `lock ${quote(lock)}: another change has been under way for ${WAIT_MS / 1000} s`,
      );
    }
    const heldMs = await stat(lock).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      // It was given back just now.
      () => 0,
    );
    if (heldMs > STALE_MS) await rm(lock, { force: true });
    else await delay(RETRY_MS);
  }
}
