import type { SandboxPlace } from '../sandbox/sandbox.ts';
import type { ActionExecutor, ActionWork } from './action-executor.ts';
import { ActionRun, type ActionRunDependencies } from './action-run.ts';
import { ExecutionMetadata } from './execution-metadata.ts';
import { type LeaseOutcome, outcomeOfError } from './lease-outcome.ts';

/** Runs actions in this worker's sandbox; the steps are {@link ActionRun}'s. */
export class SandboxedActionExecutor implements ActionExecutor {
  readonly #dependencies: ActionRunDependencies;

  constructor(dependencies: ActionRunDependencies) {
    this.#dependencies = dependencies;
  }

  async execute(work: ActionWork, signal: AbortSignal): Promise<LeaseOutcome> {
    const { workerId, now, logger } = this.#dependencies;
    const { queuedTimestamp, operationName } = work.offer;
    const metadata = new ExecutionMetadata({ worker: workerId, queuedTimestamp, now });
    try {
      return await new ActionRun(this.#dependencies, work, metadata).run(signal);
    } catch (error) {
      metadata.mark('workerCompletedTimestamp');
      logger.info({ operation: operationName, error }, 'action came to no result');
      return outcomeOfError(error, { signal, metadata: metadata.message });
    }
  }

  async release({ leaseKey }: SandboxPlace): Promise<void> {
    const { sandbox, logger } = this.#dependencies;
    try {
      await sandbox.remove(leaseKey);
    } catch (error) {
      // The launcher's next start deletes what is left.
      logger.warn({ leaseKey, error }, 'lease folder was not removed');
    }
  }
}
