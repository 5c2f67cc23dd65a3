import { errors, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { delay, type LinkedAbort, linkedAbort, throwIfAborted, untilAborted } from '../abort.ts';
import { deadlineExceeded, type IngotError, isIngotError, resourceExhausted, unavailable } from '../error.ts';
import type { IoOptions } from '../io-options.ts';
import type { Logger } from '../log/logger.ts';
import { BusHandlerRunner } from './bus-handler-runner.ts';
import { checkBusPayload } from './bus-payload.ts';
import { checkSubject, checkSubjectPattern } from './bus-subject.ts';
import type {
  BusHandler,
  BusSubscription,
  MessageBus,
  RequestOptions,
  SubscribeOptions,
} from './message-bus.ts';
import { connectToNats } from './nats-connect.ts';
import { decodeNatsReply, encodeNatsReply } from './nats-reply.ts';

/** How long a start waits for the NATS server unless told otherwise: a compose file starts everything at once. */
const CONNECT_TIMEOUT_MS = 30_000;
/** How long closing waits for the server to confirm it has everything: milliseconds, unless it has stopped answering. */
const DRAIN_TIMEOUT_MS = 1_000;
/** The library's own timer of a request runs this much longer than ours, which has the better message. */
const LIBRARY_TIMER_SLACK_MS = 1_000;
/** Between looks at whether the connection is back. */
const RECONNECT_POLL_MS = 25;

/** What {@link NatsMessageBus.connect} needs to know. */
export interface NatsMessageBusOptions extends IoOptions {
  /** See {@link connectToNats}. */
  readonly url: string;
  /** Shown in the server's list of clients. */
  readonly name: string;
  readonly logger: Logger;
  /** First words of every subject, so that farms can share a server. Default `ingot`. */
  readonly subjectPrefix?: string;
  /** How long to wait for the server at the start. Default 30 s. */
  readonly timeoutMs?: number;
}

/**
 * The message bus over a NATS server (2.9 or newer, core NATS only). States: connected; away, while the library
 * reconnects without end; closing; closed. Away, publishes are dropped and requests fail with UNAVAILABLE.
 */
export class NatsMessageBus implements MessageBus {
  readonly #connection: NatsConnection;
  readonly #logger: Logger;
  readonly #prefix: string;
  readonly #subscriptions = new Set<BusSubscription>();
  readonly #requests = new Set<LinkedAbort>();
  #connected = true;
  /** False once the server let a drain time out: no use waiting for another. */
  #responsive = true;
  #closing: Promise<void> | undefined;

  private constructor(connection: NatsConnection, logger: Logger, prefix: string) {
    this.#connection = connection;
    this.#logger = logger;
    this.#prefix = `${prefix}.`;
  }

  /** Connects; UNAVAILABLE when no server answers in time, UNAUTHENTICATED when it refuses us. */
  static async connect(options: NatsMessageBusOptions): Promise<NatsMessageBus> {
    const { subjectPrefix = 'ingot', timeoutMs = CONNECT_TIMEOUT_MS, logger } = options;
    checkSubject(subjectPrefix);
    const connection = await connectToNats({ ...options, timeoutMs });
    const bus = new NatsMessageBus(connection, logger, subjectPrefix);
    void bus.#follow();
    return bus;
  }

  publish(subject: string, payload: Uint8Array): void {
    checkSubject(subject);
    checkBusPayload(payload, `message to ${subject}`);
    if (!this.#connected) return;
    // A copy: the library holds on to the bytes until it next writes to its socket.
    this.#send(this.#prefix + subject, () =>
      this.#connection.publish(this.#prefix + subject, new Uint8Array(payload)),
    );
  }

  async subscribe(
    subject: string,
    handler: BusHandler,
    { queueGroup }: SubscribeOptions = {},
  ): Promise<BusSubscription> {
    checkSubjectPattern(subject);
    if (queueGroup !== undefined) checkSubject(queueGroup);
    if (this.#closing !== undefined) throw closed();
    const logger = this.#logger;
    const runner = new BusHandlerRunner({ handler, logger });
    const inner = this.#connection.subscribe(this.#prefix + subject, {
      ...(queueGroup === undefined ? {} : { queue: queueGroup }),
      callback: (error, message) => {
        if (error !== null) logger.error({ subject, error }, 'bus subscription ended by the server');
        else this.#deliver(runner, message);
      },
    });
    let closing: Promise<void> | undefined;
    const drain = async (): Promise<void> => {
      this.#subscriptions.delete(subscription);
      const drained = this.#connected && !inner.isClosed() && (await this.#inTime(inner.drain()));
      if (!drained) inner.unsubscribe();
      await runner.idle();
    };
    const close = (): Promise<void> => {
      closing ??= drain();
      return closing;
    };
    const subscription: BusSubscription = { close, [Symbol.asyncDispose]: close };
    this.#subscriptions.add(subscription);
    await this.#flush();
    return subscription;
  }

  async request(
    subject: string,
    payload: Uint8Array,
    { timeoutMs, signal }: RequestOptions,
  ): Promise<Uint8Array> {
    checkSubject(subject);
    checkBusPayload(payload, `message to ${subject}`);
    throwIfAborted(signal);
    if (this.#connection.isClosed()) throw closed();
    if (!this.#connected) throw away();
    using abort = linkedAbort(signal, {
      timeoutMs,
      timeoutError: deadlineExceeded(`bus request to ${subject}: no reply within ${timeoutMs} ms`),
    });
    this.#requests.add(abort);
    try {
      const timeout = Math.max(timeoutMs, 0) + LIBRARY_TIMER_SLACK_MS;
      const reply = this.#connection.request(this.#prefix + subject, new Uint8Array(payload), { timeout });
      return decodeNatsReply(await untilAborted(reply, abort.signal));
    } catch (error) {
      throw isIngotError(error) ? error : requestError(subject, error);
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
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.close()));
    this.#failRequests(closed());
    if (this.#connected && this.#responsive) await this.#inTime(this.#connection.drain());
    await this.#connection.close();
  }

  /** Whether the server confirmed in time; what it did not confirm may be lost, as on this bus anything may. */
  async #inTime(draining: Promise<void>): Promise<boolean> {
    using abort = linkedAbort(undefined, { timeoutMs: DRAIN_TIMEOUT_MS });
    try {
      await untilAborted(draining, abort.signal);
      this.#responsive = true;
    } catch (error) {
      this.#responsive = false;
      this.#logger.warn({ error }, 'bus closed before the NATS server had everything');
    }
    return this.#responsive;
  }

  /** Follows the connection's state for as long as it lives. */
  async #follow(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === 'disconnect') {
        this.#connected = false;
        this.#failRequests(away());
        if (this.#closing === undefined) this.#logger.warn({ server: status.server }, 'NATS server lost');
      } else if (status.type === 'reconnect') {
        this.#connected = true;
        this.#logger.info({ server: status.server }, 'NATS server is back');
      } else if (status.type === 'error') {
        this.#logger.error({ error: status.error }, 'NATS server reported an error');
      }
    }
    this.#connected = false;
    this.#failRequests(closed());
    const error = await this.#connection.closed();
    if (error instanceof Error) this.#logger.error({ error }, 'NATS connection closed for good');
  }

  #deliver(runner: BusHandlerRunner, message: Msg): void {
    const subject = message.subject.slice(this.#prefix.length);
    const respond = message.reply
      ? (reply: Parameters<typeof encodeNatsReply>[0]): void => {
          const { data, headers } = encodeNatsReply(reply);
          this.#send(subject, () => message.respond(data, headers === undefined ? {} : { headers }));
        }
      : undefined;
    runner.deliver({ message: { subject, payload: message.data }, respond });
  }

  /** Sends; the bus may lose messages, so a connection that is just closing is no error. */
  #send(subject: string, send: () => void): void {
    try {
      send();
    } catch (error) {
      if (error instanceof errors.InvalidArgumentError) {
        throw resourceExhausted(`message to ${subject} is larger than the NATS server accepts`, {
          cause: error,
        });
      }
      this.#logger.debug({ subject, error }, 'bus message dropped: connection closed');
    }
  }

  /** Resolves when the server has seen all we sent so far; waits out reconnects. */
  async #flush(): Promise<void> {
    for (;;) {
      if (this.#connection.isClosed()) throw closed();
      try {
        if (this.#connected) return await this.#connection.flush();
      } catch (error) {
        this.#logger.debug({ error }, 'connection lost while waiting for the NATS server');
      }
      await delay(RECONNECT_POLL_MS);
    }
  }

  #failRequests(error: IngotError): void {
    for (const abort of this.#requests) abort.abort(error);
  }
}

function closed(): IngotError {
  return unavailable('the message bus is closed');
}

function away(): IngotError {
  return unavailable('the message bus is away: the NATS server is not reachable');
}

function requestError(subject: string, error: unknown): IngotError {
  if (
    error instanceof errors.NoRespondersError ||
    (error instanceof errors.RequestError && error.isNoResponders())
  ) {
    return unavailable(`bus request to ${subject}: nobody listens`, { cause: error });
  }
  return unavailable(`bus request to ${subject} failed`, { cause: error });
}
