import { type IngotError, invalidArgument, toIngotError } from '../error.ts';
import type { ByteLoan } from './rpc-byte-budget.ts';
import { Deframer, type RawMessage } from './rpc-deframer.ts';

/** Takes what a request stream brings. After `end` or `fail` nothing more comes. */
export interface RequestSink {
  message(message: RawMessage): void;
  /** So many bytes of the next message are here; told with all that comes. */
  partial(bytes: number): void;
  /** The client said that this was all (END_STREAM); a client that vanishes never gets here. */
  end(): void;
  /** What was sent is no sequence of gRPC messages, or too much. */
  fail(error: IngotError): void;
}

/** Reads gRPC messages off the bytes of a request into a sink. */
export class RequestReader {
  readonly #deframer: Deframer;
  readonly #loan: ByteLoan;
  readonly #sink: RequestSink;
  #done = false;
  #ended = false;

  constructor(options: { messageBytesMax: number; loan: ByteLoan }, sink: RequestSink) {
    this.#deframer = new Deframer(options.messageBytesMax);
    this.#loan = options.loan;
    this.#sink = sink;
  }

  /** The client's END_STREAM has been seen. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Drops whatever else comes. */
  stop(): void {
    this.#done = true;
  }

  /** Takes the next bytes of the request. */
  onData(bytes: Uint8Array, start: number, end: number): void {
    if (this.#done) return;
    try {
      this.#loan.take(end - start);
      for (const message of this.#deframer.push(bytes, start, end)) {
        this.#sink.message(message);
        if (this.#done) return;
      }
      this.#sink.partial(this.#deframer.partialBytes);
    } catch (error) {
      this.#done = true;
      this.#sink.fail(toIngotError(error));
    }
  }

  /** There are no more. */
  onEnd(): void {
    this.#ended = true;
    if (this.#done) return;
    this.#done = true;
    const partialBytes = this.#deframer.partialBytes;
    if (partialBytes === 0) this.#sink.end();
    else {
      this.#sink.fail(
        invalidArgument(
          `Read a gRPC message: the request ended ${partialBytes} bytes into it, expected all of it`,
        ),
      );
    }
  }
}
