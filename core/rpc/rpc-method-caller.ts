import { abortReason, delay, linkedAbort } from '../abort.ts';
import { cancelled, internal, toIngotError, unimplemented } from '../error.ts';
import type { Logger } from '../log/logger.ts';
import type { ClientCall } from './rpc-client-call.ts';
import { decodeStrictly } from './rpc-decode.ts';
import { type RetryPolicy, retryDelayMs } from './rpc-retry-policy.ts';
import type { CallOptions, MethodDefinition } from './rpc-service.ts';

/** What a {@link MethodCaller} is made of. */
export interface MethodCallerOptions {
  readonly path: string;
  readonly definition: MethodDefinition;
  /** Starts an attempt, which must end within `timeoutMs` when there is one. */
  readonly startCall: (path: string, options: CallOptions, timeoutMs: number | undefined) => ClientCall;
  readonly retry: RetryPolicy;
  /** Of unary calls; 0 means none. */
  readonly defaultTimeoutMs: number;
  readonly random: () => number;
  readonly logger: Logger;
  /** Aborts when the channel is closed. */
  readonly closed: AbortSignal;
}

/** Calls one method of a server in the shape that its definition asks for. */
export class MethodCaller {
  readonly #options: MethodCallerOptions;

  constructor(options: MethodCallerOptions) {
    this.#options = options;
  }

  /** One request, one response; sent again after UNAVAILABLE while the timeout allows. */
  async unary(request: unknown, options: CallOptions = {}): Promise<unknown> {
    const { retry, random, path, logger, defaultTimeoutMs } = this.#options;
    const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    const endMs = timeoutMs > 0 ? performance.now() + timeoutMs : Number.POSITIVE_INFINITY;
    const message = this.#encode(request);
    for (let attempt = 1; ; attempt++) {
      const leftMs = endMs - performance.now();
      try {
        return await this.#attemptUnary(message, options, Number.isFinite(leftMs) ? leftMs : undefined);
      } catch (error) {
        const delayMs = options.retry === false ? undefined : retryDelayMs(retry, attempt, { error, random });
        if (delayMs === undefined || performance.now() + delayMs >= endMs) throw error;
        logger.debug({ method: path, attempt, delayMs, error }, 'a call is sent again');
        await this.#backOff(delayMs, options.signal);
      }
    }
  }

  /** Many requests, one response. The server may answer before it has seen them all. */
  async clientStream(requests: AsyncIterable<unknown>, options: CallOptions = {}): Promise<unknown> {
    const call = this.#start(options);
    void this.#sendAll(call, requests);
    return await this.#receiveOne(call);
  }

  /** One request, many responses. */
  async *serverStream(request: unknown, options: CallOptions = {}): AsyncGenerator<unknown> {
    const message = this.#encode(request);
    const call = this.#start(options);
    void call.send(message);
    call.halfClose();
    yield* this.#receiveAll(call);
  }

  /** Many of both, each at its own pace. */
  async *bidiStream(requests: AsyncIterable<unknown>, options: CallOptions = {}): AsyncGenerator<unknown> {
    const call = this.#start(options);
    void this.#sendAll(call, requests);
    yield* this.#receiveAll(call);
  }

  async #backOff(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { closed } = this.#options;
    using waiting = linkedAbort(signal);
    const stop = (): void => waiting.abort(abortReason(closed));
    closed.addEventListener('abort', stop, { once: true });
    try {
      await delay(delayMs, waiting);
    } finally {
      closed.removeEventListener('abort', stop);
    }
  }

  #start(options: CallOptions): ClientCall {
    const { timeoutMs = 0 } = options;
    return this.#options.startCall(this.#options.path, options, timeoutMs > 0 ? timeoutMs : undefined);
  }

  async #attemptUnary(
    message: Uint8Array,
    options: CallOptions,
    timeoutMs: number | undefined,
  ): Promise<unknown> {
    const call = this.#options.startCall(this.#options.path, options, timeoutMs);
    void call.send(message);
    call.halfClose();
    return await this.#receiveOne(call);
  }

  /** Never rejects: an error of the source cancels the call, and is what its receiver gets. */
  async #sendAll(call: ClientCall, requests: AsyncIterable<unknown>): Promise<void> {
    try {
      for await (const request of requests) {
        if (call.isOver) return;
        await call.send(this.#encode(request));
        if (call.isOver) return;
      }
      call.halfClose();
    } catch (error) {
      call.cancel(toIngotError(error));
    }
  }

  async #receiveOne(call: ClientCall): Promise<unknown> {
    try {
      const message = await call.receive();
      if (message === undefined || (await call.receive()) !== undefined) {
        const seen = message === undefined ? 'none' : 'several';
        throw unimplemented(`Call ${this.#options.path}: expected one response message, got ${seen}`);
      }
      return this.#decode(message);
    } finally {
      call.cancel(cancelled(`Call ${this.#options.path}: its answer could not be read`));
    }
  }

  async *#receiveAll(call: ClientCall): AsyncGenerator<unknown> {
    try {
      for (let message = await call.receive(); message !== undefined; message = await call.receive()) {
        yield this.#decode(message);
      }
    } finally {
      call.cancel(cancelled(`Call ${this.#options.path}: its reader stopped before the end`));
    }
  }

  #encode(request: unknown): Uint8Array {
    const { requestType } = this.#options.definition;
    const parts = requestType.encodeParts?.(request);
    return parts === undefined ? requestType.encode(request).finish() : Buffer.concat(parts);
  }

  #decode(message: Uint8Array): unknown {
    try {
      return decodeStrictly(this.#options.definition.responseType, message);
    } catch (cause) {
      throw internal(`Call ${this.#options.path}: the response is not of its message type`, { cause });
    }
  }
}
