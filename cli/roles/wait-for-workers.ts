import { delay, linkedAbort } from '../../core/abort.ts';
import { unavailable } from '../../core/error.ts';
import type { FarmStatus } from '../../proto/gen/ingot/v1/farm.ts';
import type { SchedulerRole } from '../../scheduler/main.ts';

/** A first heartbeat takes milliseconds. */
const WAIT_MS = 20_000;
const POLL_MS = 20;

/** Waits until a scheduler of this process knows these workers; gives its word on the farm. */
export async function waitForWorkers(
  scheduler: Pick<SchedulerRole, 'status'>,
  workerIds: readonly string[],
  signal: AbortSignal,
): Promise<FarmStatus> {
  using abort = linkedAbort(signal, {
    timeoutMs: WAIT_MS,
    timeoutError: unavailable(`wait for ${workerIds.join(', ')}: not heard of within ${WAIT_MS / 1000} s`),
  });
  for (;;) {
    const status = scheduler.status();
    const known = new Set(status.workers.map(({ workerId }) => workerId));
    if (workerIds.every((id) => known.has(id))) return status;
    await delay(POLL_MS, { signal: abort.signal });
  }
}
