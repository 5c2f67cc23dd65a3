import assert from 'node:assert/strict';
import type { IngotError } from '../error.ts';
import type { Http2Stream } from '../http2/http2-stream.ts';
import type { ByteLoan } from './rpc-byte-budget.ts';
import type { RawMessage } from './rpc-deframer.ts';
import { FRAME_HEADER_BYTES } from './rpc-frame.ts';
import type { RpcServerLimits } from './rpc-limits.ts';
import type { RequestSink } from './rpc-request-reader.ts';

/** What a {@link RequestStream} is made of. */
export interface RequestStreamOptions<T> {
  readonly stream: Http2Stream;
  readonly loan: ByteLoan;
  readonly limits: Pick<RpcServerLimits, 'readAheadBytes'>;
  readonly decode: (message: RawMessage) => T | Promise<T>;
  /** Told of requests that are no gRPC messages, which ends the call. */
  readonly onMalformed: (error: IngotError) => void;
}

/**
 * The requests of a streaming call, for its handler. It is done when the client said so; when the call ends in any
 * other way, `next` throws the reason, and messages not yet read are dropped. Reading too slowly pauses the client.
 */
export class RequestStream<T> implements AsyncIterableIterator<T, undefined>, RequestSink {
  readonly #options: RequestStreamOptions<T>;
  readonly #queue: RawMessage[] = [];
  #queuedBytes = 0;
  #partialBytes = 0;
  #paused = false;
  #ended = false;
  #stopped = false;
  #error: IngotError | undefined;
  #waiter: PromiseWithResolvers<void> | undefined;

  constructor(options: RequestStreamOptions<T>) {
    this.#options = options;
  }

  message(message: RawMessage): void {
    if (this.#stopped) {
      this.#options.loan.give(wireBytes(message));
      return;
    }
    this.#queue.push(message);
    this.#queuedBytes += wireBytes(message);
    this.#wake();
  }

  /** Of a message that the handler does not ask for yet no more is taken than is read ahead. */
  partial(bytes: number): void {
    this.#partialBytes = bytes;
    if (this.#stopped || this.#waiter !== undefined) return;
    if (this.#queuedBytes + bytes >= this.#readAheadBytes) this.#pause();
  }

  end(): void {
    // A client on node:http2 that cancels sends an END_STREAM just before its reset. One turn of the event loop lets
    // the reset come in, so that the handler hears of a cancelled request and not of a whole one.
    setImmediate(() => {
      this.#ended = true;
      this.#wake();
    });
  }

  fail(error: IngotError): void {
    this.#options.onMalformed(error);
  }

  /** Makes `next` throw from now on; the first reason counts. */
  abort(reason: IngotError): void {
    this.#error ??= reason;
    this.#clear();
    this.#wake();
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    for (;;) {
      if (this.#error !== undefined) throw this.#error;
      const message = this.#queue.shift();
      if (message !== undefined) {
        this.#taken(message);
        return { done: false, value: await this.#options.decode(message) };
      }
      if (this.#ended || this.#stopped) return { done: true, value: undefined };
      assert(this.#waiter === undefined, 'next() was called before the one before it was done');
      this.#waiter = Promise.withResolvers();
      this.#resume();
      await this.#waiter.promise;
    }
  }

  /** The handler has read enough; the client is held back until the call is answered. */
  async return(): Promise<IteratorResult<T, undefined>> {
    this.#stopped = true;
    this.#clear();
    try {
      if (!this.#ended) this.#pause();
    } catch {
      // Safe: there is no memory to hold the client back, so what it still sends is dropped as it comes.
    }
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** It is paused before its window is opened again, so that one which is not read at all has no more than that. */
  get #readAheadBytes(): number {
    const { limits, stream } = this.#options;
    return Math.min(limits.readAheadBytes, stream.windowBytes / 2);
  }

  #taken(message: RawMessage): void {
    this.#queuedBytes -= wireBytes(message);
    this.#options.loan.give(wireBytes(message));
    if (this.#queuedBytes + this.#partialBytes < this.#readAheadBytes) this.#resume();
  }

  /** Holds the client back. What it may still send is borrowed first; RESOURCE_EXHAUSTED when there is too little. */
  #pause(): void {
    const { stream, loan } = this.#options;
    if (this.#paused) return;
    loan.reserve(stream.receiveWindow);
    this.#paused = true;
    stream.pause();
  }

  #resume(): void {
    const { stream, loan } = this.#options;
    if (!this.#paused) return;
    loan.unreserve();
    this.#paused = false;
    stream.resume();
  }

  #clear(): void {
    this.#options.loan.give(this.#queuedBytes);
    this.#queue.length = 0;
    this.#queuedBytes = 0;
  }

  #wake(): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.resolve();
  }
}

function wireBytes(message: RawMessage): number {
  return FRAME_HEADER_BYTES + message.bytes.length;
}
