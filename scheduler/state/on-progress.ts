import { enterExecuting } from './leasing.ts';
import type { EventOf } from './scheduler-event.ts';
import type { StepContext } from './step-context.ts';

/** How far a lease has come, for those who wait. Anything but the newest lease's is dropped. */
export function onProgress(context: StepContext, { progress }: EventOf<'progress'>): void {
  const { state, outcome } = context;
  const operation = state.operations.get(progress.operationName);
  const lease = operation?.record.lease;
  if (operation === undefined || lease === undefined) return;
  if (lease.epoch !== progress.epoch || lease.workerId !== progress.workerId) return;
  if (operation.phase !== 'offered' && operation.phase !== 'executing') return;
  operation.progress = progress.metadata;
  if (operation.phase === 'offered') enterExecuting(context, operation);
  else outcome.notify(operation);
}
