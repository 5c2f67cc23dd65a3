import type { OperationRecord } from '../../proto/gen/ingot/v1/journal.ts';
import type { OperationState } from './operation-state.ts';
import { viewOf } from './operation-view.ts';
import type { SchedulerCommand } from './scheduler-command.ts';

/** What came of one step: records to write, names to delete, and then commands to carry out, in order. */
export class StepOutcome {
  readonly commands: SchedulerCommand[] = [];
  readonly #records = new Map<string, OperationRecord>();
  readonly #forgottenNames = new Set<string>();

  /** Records that changed. They go on changing with later steps: write them as they are then, never older. */
  get records(): readonly OperationRecord[] {
    return [...this.#records.values()];
  }

  /** Names of the records to delete. */
  get forgottenNames(): readonly string[] {
    return [...this.#forgottenNames];
  }

  /** The operation's record is to be written. */
  changed({ record }: OperationState): void {
    this.#records.set(record.name, record);
  }

  /** The operation's record is to be deleted. */
  forgotten({ record }: OperationState): void {
    this.#records.delete(record.name);
    this.#forgottenNames.add(record.name);
  }

  emit(command: SchedulerCommand): void {
    this.commands.push(command);
  }

  /** Tells those who wait for the operation, if any. */
  notify(operation: OperationState): void {
    if (operation.waiters > 0) this.emit({ kind: 'notify', view: viewOf(operation) });
  }
}
