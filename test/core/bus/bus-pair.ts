import { onTestFinished, vi } from 'vitest';
import type { MessageBus } from '../../../core/bus/message-bus.ts';
import { type Logger, silentLogger } from '../../../core/log/logger.ts';

/** Buses that reach each other: `client` sends, `server` answers. They may be the same. */
export interface BusPair {
  readonly client: MessageBus;
  readonly server: MessageBus;
}

/** How the contract suites get the buses of one test. */
export type OpenBuses = (logger: Logger) => Promise<BusPair>;

export const TIMEOUT_MS = 5_000;
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (payload: Uint8Array): string => new TextDecoder().decode(payload);

/** Waits until the check passes; longer than any machine under load should need. */
export function eventually(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: TIMEOUT_MS, interval: 10 });
}

/** Opens a pair that is closed when the test ends. */
export function openPair(open: OpenBuses): (logger?: Logger) => Promise<BusPair> {
  return async (logger = silentLogger) => {
    const buses = await open(logger);
    onTestFinished(async () => {
      await buses.client.close();
      await buses.server.close();
    });
    return buses;
  };
}

/** Resolves when what was sent before it, in either direction, has arrived. */
export async function settled(client: MessageBus, server: MessageBus): Promise<void> {
  for (const [from, to] of [
    [client, server],
    [server, client],
  ] as const) {
    await using _ping = await to.subscribe('settled.ping', async () => undefined);
    await from.request('settled.ping', bytes(''), { timeoutMs: TIMEOUT_MS });
  }
}
