import { isIngotError } from '../../../core/error.ts';
import { ExecutionStage_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { joinKeyOf } from '../../../scheduler/state/join-key.ts';
import type { OperationView } from '../../../scheduler/state/operation-view.ts';
import type { Submission } from '../../../scheduler/state/scheduler-event.ts';
import type { SimClock } from './sim-clock.ts';
import type { SimRandom } from './sim-random.ts';
import type { SimAnswer, SimScheduler } from './sim-scheduler.ts';
import type { SimTruth } from './sim-truth.ts';

export interface SimClientParts {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly scheduler: SimScheduler;
  readonly truth: SimTruth;
  readonly newName: () => string;
}

/** What a client asks for; the rest is filled in when it does. */
export type SimAction = Omit<Submission, 'name' | 'lookedUpAtMs'>;

/**
 * A client that wants one action done: asks the cache, executes, waits, comes back after a crash of the scheduler by
 * name, or by executing again. `end` says how it came out.
 */
export class SimClient {
  readonly #parts: SimClientParts;
  readonly #action: SimAction;
  #name: string | undefined;
  /** Counts conversations; answers to earlier ones are not heard. */
  #turn = 0;
  #waiting = false;
  end: string | undefined;

  constructor(parts: SimClientParts, action: SimAction) {
    this.#parts = parts;
    this.#action = action;
  }

  execute(): void {
    if (this.end !== undefined) return;
    const { scheduler, truth, clock, newName } = this.#parts;
    if (scheduler.state === undefined) {
      clock.after(500, () => this.execute());
      return;
    }
    const key = joinKeyOf(this.#action);
    if (!this.#action.skipCacheLookup && key !== undefined && truth.actionCache.has(key)) {
      this.end = 'hit';
      return;
    }
    const submission: Submission = { ...this.#action, name: newName(), lookedUpAtMs: scheduler.monotonicMs };
    const turn = this.#nextTurn();
    scheduler.ask(
      (token) => ({ kind: 'execute', token, submission }),
      (answer) => this.#onAnswer(turn, answer),
    );
  }

  /** The stream is cut; the operation may go on. */
  leave(): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    this.#turn += 1;
    this.#parts.scheduler.handle({ kind: 'detach', name: this.#name! });
  }

  giveUp(): void {
    if (this.end !== undefined) return;
    this.leave();
    this.#turn += 1;
    this.end = 'gave up';
  }

  comeBack(): void {
    if (this.#waiting || this.end !== undefined || this.#name === undefined) return;
    const { scheduler, clock } = this.#parts;
    if (scheduler.state === undefined) {
      clock.after(500, () => this.comeBack());
      return;
    }
    const turn = this.#nextTurn();
    const name = this.#name;
    scheduler.ask(
      (token) => ({ kind: 'attach', token, name }),
      (answer) => this.#onAnswer(turn, answer),
    );
  }

  cancel(): void {
    if (this.#name === undefined || this.end !== undefined) return;
    this.#parts.scheduler.handle({ kind: 'cancel', name: this.#name, reason: 'cancelled by its client' });
  }

  onCrash(): void {
    this.#waiting = false;
    this.#turn += 1;
    if (this.end !== undefined) return;
    const delayMs = this.#parts.random.between(10, 4_000);
    this.#parts.clock.after(delayMs, () => (this.#name === undefined ? this.execute() : this.comeBack()));
  }

  onView(view: OperationView): void {
    if (!this.#waiting || view.name !== this.#name) return;
    if (view.stage !== ExecutionStage_Value.COMPLETED) return;
    if (view.response === undefined) throw new Error(`${view.name} is completed without a response`);
    this.#parts.truth.ended(view.name, view.response);
    this.#waiting = false;
    this.end = view.response.status === undefined ? 'done' : `failed: ${view.response.status.message}`;
    this.#parts.scheduler.handle({ kind: 'detach', name: view.name });
  }

  #onAnswer(turn: number, answer: SimAnswer): void {
    if (turn !== this.#turn) {
      // Nobody is there to hear it: the waiter it counted has to go again.
      if ('view' in answer) this.#parts.scheduler.handle({ kind: 'detach', name: answer.view.name });
      return;
    }
    const { clock, random } = this.#parts;
    if ('view' in answer) {
      this.#name = answer.view.name;
      this.#waiting = true;
      this.onView(answer.view);
    } else if (isIngotError(answer.error, Code.NOT_FOUND)) {
      this.#name = undefined;
      this.execute();
    } else if (isIngotError(answer.error, Code.UNAVAILABLE)) {
      clock.after(random.between(100, 2_000), () => this.execute());
    } else {
      this.end = `refused: ${(answer.error as Error).message}`;
    }
  }

  #nextTurn(): number {
    this.#turn += 1;
    return this.#turn;
  }
}
