import { delay } from '../../core/abort.ts';
import { cancelled, type IngotError, toIngotError } from '../../core/error.ts';
import { type FailPoints, noFailPoints } from '../../core/fail-point.ts';
import type { Logger } from '../../core/log/logger.ts';
import type { OperationRecord } from '../../proto/gen/ingot/v1/journal.ts';
import type { Clock } from '../clock.ts';
import type { Journal } from '../journal.ts';
import type { SchedulerCommand } from '../state/scheduler-command.ts';
import type { SchedulerEvent } from '../state/scheduler-event.ts';
import type { SchedulerState } from '../state/scheduler-state.ts';
import { step } from '../state/step.ts';

/** Between two tries of a journal that cannot be written: a full disk is not freed any faster. */
const JOURNAL_RETRY_MS = 500;

/** Where a process can be made to die around a write of the journal, in order. */
export const journalFailPoints = ['journal.before_write', 'journal.after_write'] as const;

/** What {@link StateDriver} depends on. */
export interface StateDriverDependencies {
  readonly state: SchedulerState;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly failPoints?: FailPoints;
}

/**
 * Turns the state machine by its events. What an event changed is in the journal before anything is done about it; while
 * one write is under way, the changes of further events gather for the next. When the journal cannot be
 * written, everything waits: nothing is answered that is not durable.
 */
export class StateDriver {
  readonly #dependencies: StateDriverDependencies;
  readonly #failPoints: FailPoints;
  readonly #closing = new AbortController();
  #carryOut: (command: SchedulerCommand) => void = () => undefined;
  #records = new Map<string, OperationRecord>();
  #forgottenNames = new Set<string>();
  #commands: SchedulerCommand[] = [];
  #writing: Promise<void> | undefined;
  #journalError: IngotError | undefined;

  constructor(dependencies: StateDriverDependencies) {
    this.#dependencies = dependencies;
    this.#failPoints = dependencies.failPoints ?? noFailPoints;
  }

  /** Why the journal cannot be written at present; undefined while all is well. */
  get journalError(): IngotError | undefined {
    return this.#journalError;
  }

  /** Who carries out the commands. It must not fail, and must not call `handle` before it returns. */
  onCommand(carryOut: (command: SchedulerCommand) => void): void {
    this.#carryOut = carryOut;
  }

  /** Takes an event. After `close` it does nothing. */
  handle(event: SchedulerEvent): void {
    if (this.#closing.signal.aborted) return;
    const { state, clock } = this.#dependencies;
    const outcome = step(state, event, clock.now());
    for (const record of outcome.records) this.#records.set(record.name, record);
    for (const name of outcome.forgottenNames) {
      this.#records.delete(name);
      this.#forgottenNames.add(name);
    }
    this.#commands.push(...outcome.commands);
    if (this.#writing !== undefined) return;
    if (this.#hasChanges()) this.#writing = this.#writeAll();
    else this.#carryOutAll(this.#commands.splice(0));
  }

  /** Resolves when everything that has happened so far is durable. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  /** Takes no more events and waits for the write under way, unless the journal fails. */
  async close(): Promise<void> {
    this.#closing.abort(cancelled('the scheduler is closing'));
    await this.#writing;
  }

  #hasChanges(): boolean {
    return this.#records.size > 0 || this.#forgottenNames.size > 0;
  }

  async #writeAll(): Promise<void> {
    while (this.#hasChanges()) {
      const puts = [...this.#records.values()];
      const deletedNames = [...this.#forgottenNames];
      const commands = this.#commands.splice(0);
      this.#records.clear();
      this.#forgottenNames.clear();
      this.#failPoints.pass('journal.before_write');
      if (!(await this.#write(puts, deletedNames))) return;
      this.#failPoints.pass('journal.after_write');
      this.#carryOutAll(commands);
    }
    this.#writing = undefined;
    this.#carryOutAll(this.#commands.splice(0));
  }

  /** False when the scheduler closes before it could be written. */
  async #write(puts: readonly OperationRecord[], deletedNames: readonly string[]): Promise<boolean> {
    const { journal, logger } = this.#dependencies;
    for (;;) {
      try {
        await journal.commit(puts, deletedNames);
        if (this.#journalError !== undefined) logger.info({}, 'the journal can be written again');
        this.#journalError = undefined;
        return true;
      } catch (error) {
        if (this.#journalError === undefined) logger.error({ error }, 'the journal cannot be written');
        this.#journalError = toIngotError(error);
      }
      try {
        await delay(JOURNAL_RETRY_MS, { signal: this.#closing.signal });
      } catch {
        // Closing: nobody was answered, so what could not be written has not happened.
        return false;
      }
    }
  }

  #carryOutAll(commands: readonly SchedulerCommand[]): void {
    for (const command of commands) this.#carryOut(command);
  }
}
