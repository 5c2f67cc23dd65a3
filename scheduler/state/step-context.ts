import type { Instant } from './instant.ts';
import type { SchedulerState } from './scheduler-state.ts';
import type { StepOutcome } from './step-outcome.ts';

/** What the parts of one step share: the state they change, the time it is, and what is to come of it. */
export interface StepContext {
  readonly state: SchedulerState;
  readonly now: Instant;
  readonly outcome: StepOutcome;
}
