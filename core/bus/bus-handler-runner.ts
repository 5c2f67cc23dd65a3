import { type IngotError, isIngotError, resourceExhausted, toIngotError } from '../error.ts';
import type { Logger } from '../log/logger.ts';
import { checkBusPayload } from './bus-payload.ts';
import type { BusHandler, BusMessage } from './message-bus.ts';

/** Handlers of one subscription under way at once. More would not be faster, and each holds its message. */
export const BUS_HANDLERS_MAX = 256;
/** Bytes of messages waiting for a handler, in one subscription. Beyond it messages are dropped, as the bus may. */
export const BUS_BACKLOG_BYTES_MAX = 64 * 1024 * 1024;

/** What a waiting message takes besides its payload, so that a flood of empty ones is bounded too. */
const MESSAGE_OVERHEAD_BYTES = 256;

/** What a requester is told. */
export type BusReply = { readonly payload: Uint8Array } | { readonly error: IngotError };

/** One message on its way to a handler. */
export interface BusDelivery {
  readonly message: BusMessage;
  /** Set for a request. Called once. */
  readonly respond?: ((reply: BusReply) => void) | undefined;
}

/** What a runner needs from outside. */
export interface BusHandlerRunnerDependencies {
  readonly handler: BusHandler;
  readonly logger: Logger;
}

const NO_BYTES = new Uint8Array();

/** Runs the handler of one subscription: side by side up to a limit, and never lets an error of it escape. */
export class BusHandlerRunner {
  readonly #handler: BusHandler;
  readonly #logger: Logger;
  readonly #backlog: BusDelivery[] = [];
  #backlogBytes = 0;
  #running = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor({ handler, logger }: BusHandlerRunnerDependencies) {
    this.#handler = handler;
    this.#logger = logger;
  }

  /** Starts the handler, at once or when one before it has ended. Never before the caller has gone on. */
  deliver(delivery: BusDelivery): void {
    if (this.#running < BUS_HANDLERS_MAX) {
      this.#start(delivery);
      return;
    }
    const { subject } = delivery.message;
    if (this.#backlogBytes + weight(delivery) > BUS_BACKLOG_BYTES_MAX) {
      this.#logger.warn(
        { subject, backlogBytes: this.#backlogBytes },
        'bus message dropped: handlers too slow',
      );
      delivery.respond?.({ error: resourceExhausted(`too many messages wait for a handler of ${subject}`) });
      return;
    }
    this.#backlog.push(delivery);
    this.#backlogBytes += weight(delivery);
  }

  /** Resolves when no handler runs or waits. */
  async idle(): Promise<void> {
    if (this.#running === 0) return;
    this.#idle ??= Promise.withResolvers<void>();
    await this.#idle.promise;
  }

  #start(delivery: BusDelivery): void {
    this.#running += 1;
    void this.#run(delivery).finally(() => {
      this.#running -= 1;
      const next = this.#backlog.shift();
      if (next !== undefined) {
        this.#backlogBytes -= weight(next);
        this.#start(next);
      } else if (this.#running === 0) {
        this.#idle?.resolve();
        this.#idle = undefined;
      }
    });
  }

  async #run({ message, respond }: BusDelivery): Promise<void> {
    await Promise.resolve();
    const { subject } = message;
    let reply: BusReply;
    try {
      const payload = (await this.#handler(message)) ?? NO_BYTES;
      if (respond !== undefined) checkBusPayload(payload, `reply on ${subject}`);
      reply = { payload };
    } catch (error) {
      if (respond === undefined || !isIngotError(error)) {
        this.#logger.error({ subject, error }, 'bus handler failed');
      }
      reply = { error: toIngotError(error) };
    }
    try {
      respond?.(reply);
    } catch (error) {
      this.#logger.error({ subject, error }, 'bus reply could not be sent');
    }
  }
}

function weight({ message }: BusDelivery): number {
  return message.payload.byteLength + MESSAGE_OVERHEAD_BYTES;
}
