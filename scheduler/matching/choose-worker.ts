import type { Resources } from '../../proto/gen/ingot/v1/bus.ts';
import { allocate, type ResourcesInUse } from './allocate.ts';
import type { Requirement } from './requirement.ts';

/** A worker that could run an action when empty, and takes offers. */
export interface Candidate {
  readonly workerId: string;
  readonly capacity: Resources;
  readonly inUse: ResourcesInUse;
  /** The action came back from it before. */
  readonly failedBefore: boolean;
}

/** Where an action goes, and what it takes there. */
export interface Placement<C extends Candidate> {
  readonly worker: C;
  readonly reserved: Resources;
}

/**
 * The best of the candidates with room, or undefined. In this order: one the action did not come back from; for an
 * action without GPUs one without GPUs; for one with GPUs that with the fewest left over, so that whole machines
 * stay free for those who need them; the least loaded. The id decides between equals, so that the choice is
 * the same every time.
 */
export function chooseWorker<C extends Candidate>(
  requirement: Requirement,
  candidates: Iterable<C>,
): Placement<C> | undefined {
  let best: { placement: Placement<C>; cost: readonly number[] } | undefined;
  for (const worker of candidates) {
    const reserved = allocate(requirement, worker.capacity, worker.inUse);
    if (reserved === undefined) continue;
    const cost = costOf(requirement, worker);
    if (best !== undefined && !cheaper(cost, worker.workerId, best.cost, best.placement.worker.workerId))
      continue;
    best = { placement: { worker, reserved }, cost };
  }
  return best?.placement;
}

function costOf({ gpuCount }: Requirement, { capacity, inUse, failedBefore }: Candidate): readonly number[] {
  const gpus = capacity.gpus.length;
  return [
    Number(failedBefore),
    gpuCount === 0 ? Number(gpus > 0) : gpus - inUse.gpuIds.size,
    inUse.slots / Math.max(capacity.slots, 1),
  ];
}

function cheaper(a: readonly number[], aId: string, b: readonly number[], bId: string): boolean {
  for (const [index, cost] of a.entries()) {
    const other = b[index] ?? 0;
    if (cost !== other) return cost < other;
  }
  return aId < bId;
}
