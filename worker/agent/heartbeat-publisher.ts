import type { MessageBus } from '../../core/bus/message-bus.ts';
import type { Logger } from '../../core/log/logger.ts';
import { WorkerHeartbeat } from '../../proto/gen/ingot/v1/bus.ts';

export interface HeartbeatPublisherDependencies {
  readonly bus: MessageBus;
  readonly logger: Logger;
  readonly subject: string;
  readonly intervalMs: number;
  /** The worker's state as of now; the sequence is added here. */
  readonly describe: () => Omit<WorkerHeartbeat, 'sequence'>;
}

/** Tells the scheduler of the worker's whole state, regularly and at once after a change. */
export class HeartbeatPublisher {
  readonly #dependencies: HeartbeatPublisherDependencies;
  #sequence = 0;
  #timer: NodeJS.Timeout | undefined;
  #scheduled = false;

  constructor(dependencies: HeartbeatPublisherDependencies) {
    this.#dependencies = dependencies;
  }

  start(): void {
    this.#publish();
    this.#timer = setInterval(() => this.#publish(), this.#dependencies.intervalMs);
  }

  /** Publishes soon; several changes in one turn of the event loop are told together. */
  changed(): void {
    if (this.#scheduled || this.#timer === undefined) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.#timer !== undefined) this.#publish();
    });
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #publish(): void {
    const { bus, subject, describe, logger } = this.#dependencies;
    this.#sequence += 1;
    try {
      bus.publish(subject, WorkerHeartbeat.encode({ ...describe(), sequence: this.#sequence }).finish());
    } catch (error) {
      // The next one replaces it.
      logger.warn({ error }, 'heartbeat could not be published');
    }
  }
}
