import { type OfferReply, OfferReply_Outcome } from '../../proto/gen/ingot/v1/bus.ts';
import type { Instant } from './instant.ts';
import { touchLease } from './lease-room.ts';
import { enterExecuting, loseLease, sendOffer } from './leasing.ts';
import type { OperationState } from './operation-state.ts';
import type { EventOf } from './scheduler-event.ts';
import type { SchedulerState } from './scheduler-state.ts';
import type { StepContext } from './step-context.ts';

/** A worker's reply to an offer, or that none came. Replies to older offers only matter when they were a yes. */
export function onOfferReply(
  context: StepContext,
  { operationName, epoch, workerId, reply }: EventOf<'offerReply'>,
): void {
  const { state, now, outcome } = context;
  const operation = state.operations.get(operationName);
  const current = operation?.record.lease?.epoch === epoch;
  if (operation === undefined || !current) {
    const isNewest = operation?.record.epoch === epoch && operation.phase !== 'completed';
    if (reply?.outcome === OfferReply_Outcome.ACCEPTED && !isNewest) {
      const cancel = { operationName, epoch, reason: 'the lease is over' };
      outcome.emit({ kind: 'cancelLease', workerId, cancel });
    }
    return;
  }
  if (operation.phase !== 'offered') return;
  if (reply === undefined) {
    operation.offerDueAtMs = now.monotonicMs + state.limits.offerRetryMs;
  } else if (reply.outcome === OfferReply_Outcome.ACCEPTED) {
    touchLease(state, operation, now.monotonicMs);
    enterExecuting(context, operation);
  } else {
    onDeclined(context, operation, reply);
  }
}

/** Sends offers again that had no reply, and takes back those that had none too often. */
export function repeatOffers(context: StepContext): void {
  const { state, now } = context;
  for (const operation of [...state.offered]) {
    if (operation.offerDueAtMs > now.monotonicMs) continue;
    if (operation.offerTries < state.limits.offerTriesMax) {
      touchLease(state, operation, now.monotonicMs);
      sendOffer(context, operation);
      continue;
    }
    pause(state, operation.record.lease?.workerId, now);
    const reason = `the worker did not reply to ${operation.offerTries} offers`;
    // The offer may have arrived all the same, and only the replies got lost.
    loseLease(context, operation, { reason, kind: 'free', room: 'stopping' });
  }
}

function onDeclined(context: StepContext, operation: OperationState, reply: OfferReply): void {
  const { state, now } = context;
  const workerId = operation.record.lease?.workerId;
  pause(state, workerId, now);
  const heartbeat = state.workers.get(workerId ?? '')?.heartbeat;
  if (reply.outcome === OfferReply_Outcome.DRAINING && heartbeat !== undefined) heartbeat.draining = true;
  if (reply.outcome === OfferReply_Outcome.NO_ROOM) {
    // Room comes and goes, and waiting for it is what queued means: nothing is counted.
    operation.declines -= 1;
  }
  const reason = `the worker declined the offer: ${reply.message}`;
  loseLease(context, operation, { reason, kind: 'free', room: 'over' });
}

function pause(state: SchedulerState, workerId: string | undefined, now: Instant): void {
  const worker = state.workers.get(workerId ?? '');
  if (worker !== undefined) worker.pausedUntilMs = now.monotonicMs + state.limits.declinePauseMs;
}
