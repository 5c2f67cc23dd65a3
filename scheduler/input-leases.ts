import type { BlobStoreOf } from '../cache/blob-store-of.ts';
import { linkedAbort } from '../core/abort.ts';
import { mapConcurrent } from '../core/concurrency.ts';
import type { Logger } from '../core/log/logger.ts';
import { invocationOf } from './invocation-of.ts';
import type { SchedulerState } from './state/scheduler-state.ts';

/** How often leases are renewed; the cache keeps them for three times as long at least. */
const RENEWAL_MS = 60_000;
/** Renewals under way at once. */
const RENEWALS_AT_ONCE = 16;

/** What {@link InputLeases} depends on. */
export interface InputLeasesDependencies {
  readonly blobStoreOf: BlobStoreOf;
  readonly state: Pick<SchedulerState, 'operations' | 'completed'>;
  readonly logger: Logger;
  readonly renewalMs?: number;
}

/**
 * Keeps the inputs of accepted operations in the cache until they end, however long they wait or run and whether or
 * not their client is still there. Admission has looked for the inputs in the name of the build, and thereby holds
 * them; this says now and then that the build is live, with a FindMissing of nothing.
 */
export class InputLeases implements AsyncDisposable {
  readonly #dependencies: InputLeasesDependencies;
  readonly #stop = linkedAbort();
  readonly #timer: NodeJS.Timeout;
  #renewing: Promise<void> | undefined;

  constructor(dependencies: InputLeasesDependencies) {
    this.#dependencies = dependencies;
    this.#timer = setInterval(() => {
      this.#renewing ??= this.#renew().finally(() => {
        this.#renewing = undefined;
      });
    }, dependencies.renewalMs ?? RENEWAL_MS);
  }

  /** Renews no more. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop[Symbol.dispose]();
    await this.#renewing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #renew(): Promise<void> {
    const { state, blobStoreOf, logger } = this.#dependencies;
    /** With an instance each is at work in; a cache holds what a build used in any. */
    const invocations = new Map<string, string>();
    for (const [name, operation] of state.operations) {
      if (state.completed.has(operation)) continue;
      const { instanceName, requestMetadata } = operation.record;
      invocations.set(invocationOf(name, requestMetadata), instanceName);
    }
    try {
      await mapConcurrent(
        invocations,
        RENEWALS_AT_ONCE,
        ([invocationId, instanceName], signal) =>
          blobStoreOf(instanceName).findMissing([], { invocationId, signal }),
        { signal: this.#stop.signal },
      );
    } catch (error) {
      // The next round is in good time, and says so again when the cache is still away.
      if (!this.#stop.signal.aborted)
        logger.warn({ error }, 'inputs of operations could not be kept in the cache');
    }
  }
}
