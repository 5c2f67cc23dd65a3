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
    const { workerId, now, sandbox, logger } = this.#dependencies;
    const { queuedTimestamp, operationName } = work.offer;
    const metadata = new ExecutionMetadata({ worker: workerId, queuedTimestamp, now });
    try {
      return await new ActionRun(this.#dependencies, work, metadata).run(signal);
    } catch (error) {
      metadata.mark('workerCompletedTimestamp');
      logger.info({ operation: operationName, error }, 'action came to no result');
      return outcomeOfError(error, { signal, metadata: metadata.message });
    } finally {
      await sandbox.remove(work.place.leaseKey).catch((error: unknown) => {
        logger.warn({ operation: operationName, error }, 'lease folder was not removed');
      });
    }
  }
}
