import { type LinkedAbort, linkedAbort, throwIfAborted, untilAborted } from '../abort.ts';
import { deadlineExceeded, IngotError, unavailable } from '../error.ts';
import type { Logger } from '../log/logger.ts';
import { BusHandlerRunner, type BusReply } from './bus-handler-runner.ts';
import { checkBusPayload } from './bus-payload.ts';
import { checkSubject, checkSubjectPattern, subjectMatches } from './bus-subject.ts';
import type {
  BusHandler,
  BusSubscription,
  MessageBus,
  RequestOptions,
  SubscribeOptions,
} from './message-bus.ts';

/** What the bus needs from outside. */
export interface InProcessMessageBusDependencies {
  readonly logger: Logger;
}

interface Subscription {
  readonly pattern: string;
  readonly queueGroup: string | undefined;
  readonly runner: BusHandlerRunner;
}

/**
 * The message bus of a farm that is one process. Behaves as NATS does: messages are copied, handlers run after
 * the sender has gone on, and errors arrive as code, message and details.
 */
export class InProcessMessageBus implements MessageBus {
  readonly #logger: Logger;
  readonly #subscriptions = new Set<Subscription>();
  readonly #requests = new Set<LinkedAbort>();
  /** Deliveries so far by queue group, so that its members take turns. */
  readonly #turns = new Map<string, number>();
  #closing: Promise<void> | undefined;
  #closed = false;

  constructor({ logger }: InProcessMessageBusDependencies) {
    this.#logger = logger;
  }

  publish(subject: string, payload: Uint8Array): void {
    checkSubject(subject);
    checkBusPayload(payload, `message to ${subject}`);
    for (const { runner } of this.#recipients(subject)) {
      runner.deliver({ message: { subject, payload: new Uint8Array(payload) } });
    }
  }

  async subscribe(
    subject: string,
    handler: BusHandler,
    { queueGroup }: SubscribeOptions = {},
  ): Promise<BusSubscription> {
    checkSubjectPattern(subject);
    if (queueGroup !== undefined) checkSubject(queueGroup);
    if (this.#closing !== undefined) throw closed();
    const runner = new BusHandlerRunner({ handler, logger: this.#logger });
    const subscription: Subscription = { pattern: subject, queueGroup, runner };
    this.#subscriptions.add(subscription);
    const close = async (): Promise<void> => {
      this.#subscriptions.delete(subscription);
      await runner.idle();
    };
    return { close, [Symbol.asyncDispose]: close };
  }

  async request(
    subject: string,
    payload: Uint8Array,
    { timeoutMs, signal }: RequestOptions,
  ): Promise<Uint8Array> {
    checkSubject(subject);
    checkBusPayload(payload, `message to ${subject}`);
    throwIfAborted(signal);
    if (this.#closed) throw closed();
    const recipients = this.#recipients(subject);
    if (recipients.length === 0) throw unavailable(`bus request to ${subject}: nobody listens`);
    using abort = linkedAbort(signal, {
      timeoutMs,
      timeoutError: deadlineExceeded(`bus request to ${subject}: no reply within ${timeoutMs} ms`),
    });
    this.#requests.add(abort);
    try {
      const { promise, resolve } = Promise.withResolvers<BusReply>();
      for (const { runner } of recipients) {
        runner.deliver({ message: { subject, payload: new Uint8Array(payload) }, respond: resolve });
      }
      return received(await untilAborted(promise, abort.signal));
    } finally {
      this.#requests.delete(abort);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#drain();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #drain(): Promise<void> {
    const runners = [...this.#subscriptions].map(({ runner }) => runner);
    this.#subscriptions.clear();
    await Promise.all(runners.map((runner) => runner.idle()));
    this.#closed = true;
    for (const abort of this.#requests) abort.abort(closed());
  }

  /** Every plain subscriber, and of each queue group the one whose turn it is. */
  #recipients(subject: string): Subscription[] {
    const plain: Subscription[] = [];
    const groups = new Map<string, Subscription[]>();
    for (const subscription of this.#subscriptions) {
      if (!subjectMatches(subscription.pattern, subject)) continue;
      const { queueGroup } = subscription;
      if (queueGroup === undefined) plain.push(subscription);
      else groups.set(queueGroup, [...(groups.get(queueGroup) ?? []), subscription]);
    }
    const chosen = [...groups].flatMap(([queueGroup, members]) => {
      const turn = this.#turns.get(queueGroup) ?? 0;
      this.#turns.set(queueGroup, turn + 1);
      return members.slice(turn % members.length, (turn % members.length) + 1);
    });
    return [...plain, ...chosen];
  }
}

function closed(): IngotError {
  return unavailable('the message bus is closed');
}

/** The reply as it would be after a wire: of an error only code, message and details. */
function received(reply: BusReply): Uint8Array {
  if ('payload' in reply) return new Uint8Array(reply.payload);
  throw new IngotError(reply.error.code, reply.error.message, { details: reply.error.details });
}
