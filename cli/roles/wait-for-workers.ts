import { delay, linkedAbort } from '../../core/abort.ts';
import { unavailable } from '../../core/error.ts';
import type { FarmStatus } from '../../proto/gen/ingot/v1/farm.ts';
import { FarmConnection } from '../client/farm-connection.ts';
import type { CommandContext } from '../command-context.ts';

/** A first heartbeat takes milliseconds. */
const WAIT_MS = 20_000;
const POLL_MS = 20;

/** Asks the farm at an address, as any client would, until it knows these workers; gives its word on itself. */
export async function waitForWorkers(
  endpoint: string,
  workerIds: readonly string[],
  { farm, version, signal }: CommandContext,
): Promise<FarmStatus> {
  await using connection = new FarmConnection({ ...farm, endpoint }, { version });
  using abort = linkedAbort(signal, {
    timeoutMs: WAIT_MS,
    timeoutError: unavailable(
      `wait for ${workerIds.join(', ')}: not heard of at ${endpoint} within ${WAIT_MS / 1000} s`,
    ),
  });
  for (;;) {
    const status = await connection.status({ signal: abort.signal });
    const known = new Set(status?.workers.map(({ workerId }) => workerId));
    if (status !== undefined && workerIds.every((id) => known.has(id))) return status;
    await delay(POLL_MS, { signal: abort.signal });
  }
}
