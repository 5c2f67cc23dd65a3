import { invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import type { WorkerHeartbeat } from '../../proto/gen/ingot/v1/bus.ts';

/** A worker's id is a word of bus subjects and stands in messages. */
const WORKER_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

/** INVALID_ARGUMENT for what no sound worker sends, so that the scheduler need not doubt what it holds. */
export function checkHeartbeat({ workerId, incarnation, capacity }: WorkerHeartbeat): void {
  if (!WORKER_ID.test(workerId)) {
    throw invalidArgument(
      `heartbeat of worker ${quote(workerId)}: expected an id of letters, digits, dashes and underscores`,
    );
  }
  if (incarnation === '') throw invalidArgument(`heartbeat of worker ${workerId}: it names no incarnation`);
  if (capacity === undefined) throw invalidArgument(`heartbeat of worker ${workerId}: it states no capacity`);
  const ids = new Set(capacity.gpus.map(({ id }) => id));
  if (ids.size !== capacity.gpus.length || ids.has('')) {
    throw invalidArgument(`heartbeat of worker ${workerId}: its GPUs have no ids of their own`);
  }
}
