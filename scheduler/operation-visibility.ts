import { mayUseInstance } from '../core/auth/require-right.ts';
import type { Caller } from '../core/caller.ts';
import type { OperationState } from './state/operation-state.ts';
import type { SchedulerState } from './state/scheduler-state.ts';
import { unknownOperation } from './state/unknown-operation.ts';

/** True for an operation that is there, in an instance the caller may use. */
export function isVisible(caller: Caller, operation: OperationState | undefined): boolean {
  return operation !== undefined && mayUseInstance(caller, operation.record.instanceName);
}

/** NOT_FOUND for another tenant's operation, as for one that is not there; that one is for others to find out. */
export function requireVisible(state: SchedulerState, caller: Caller, name: string): void {
  const operation = state.operations.get(name);
  if (operation !== undefined && !isVisible(caller, operation)) throw unknownOperation(name);
}
