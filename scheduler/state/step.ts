import { dispatch } from './dispatch.ts';
import type { Instant } from './instant.ts';
import { onCommit, onCommitFailed, onCommitPrepared } from './on-commit.ts';
import { onExecute } from './on-execute.ts';
import { onHeartbeat } from './on-heartbeat.ts';
import { onOfferReply } from './on-offer-reply.ts';
import { onProgress } from './on-progress.ts';
import { onRestore } from './on-restore.ts';
import { onTick } from './on-tick.ts';
import type { SchedulerEvent } from './scheduler-event.ts';
import type { SchedulerState } from './scheduler-state.ts';
import type { StepContext } from './step-context.ts';
import { StepOutcome } from './step-outcome.ts';
import { onAttach, onCancel, onDetach, onForget } from './waiting.ts';

/**
 * The scheduler's core: what an event does to the state, and what is to be done about it. Changes `state` in place.
 * Nothing in here reads a clock, makes a random choice or waits: the same events at the same times give the same outcome.
 */
export function step(state: SchedulerState, event: SchedulerEvent, now: Instant): StepOutcome {
  const context: StepContext = { state, now, outcome: new StepOutcome() };
  handle(context, event);
  dispatch(context);
  return context.outcome;
}

function handle(context: StepContext, event: SchedulerEvent): void {
  const { state, now } = context;
  switch (event.kind) {
    case 'restore':
      onRestore(state, event, now);
      break;
    case 'execute':
      onExecute(context, event);
      break;
    case 'attach':
      onAttach(context, event);
      break;
    case 'detach':
      onDetach(state, event, now);
      break;
    case 'forget':
      onForget(context, event);
      break;
    case 'cancel':
      onCancel(context, event);
      break;
    case 'heartbeat':
      onHeartbeat(context, event);
      break;
    case 'offerReply':
      onOfferReply(context, event);
      break;
    case 'progress':
      onProgress(context, event);
      break;
    case 'commit':
      onCommit(context, event);
      break;
    case 'commitPrepared':
      onCommitPrepared(context, event);
      break;
    case 'commitFailed':
      onCommitFailed(context, event);
      break;
    case 'tick':
      onTick(context);
      break;
  }
}
