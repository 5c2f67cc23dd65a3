import { setTimeout as pause } from 'node:timers/promises';

const POLL_MS = 20;
const TIMEOUT_MS = 30_000;

/**
 * Looks again and again until there is something to see, and gives it. A look that throws has seen nothing, and is
 * told of when the time is over.
 */
export async function waitUntil<T>(
  what: string,
  look: () => T | Promise<T>,
  { timeoutMs = TIMEOUT_MS, pollMs = POLL_MS } = {},
): Promise<Exclude<T, undefined | null | false>> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    let last: unknown;
    try {
      const seen = await look();
      if (seen !== undefined && seen !== null && seen !== false) {
        return seen as Exclude<T, undefined | null | false>;
      }
      last = seen;
    } catch (error) {
      last = error;
    }
    if (performance.now() > endMs) {
      throw new Error(`waited ${timeoutMs} ms for ${what}; last seen: ${String(last)}`, { cause: last });
    }
    await pause(pollMs);
  }
}
