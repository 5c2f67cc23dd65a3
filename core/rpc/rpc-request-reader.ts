import type { ServerHttp2Stream } from 'node:http2';
import { type IngotError, invalidArgument, toIngotError } from '../error.ts';
import type { ByteLoan } from './rpc-byte-budget.ts';
import { Deframer, type RawMessage } from './rpc-deframer.ts';

/** Takes what a request stream brings. After `end` or `fail` nothing more comes. */
export interface RequestSink {
  message(message: RawMessage): void;
  /** The client said that this was all (END_STREAM); a client that vanishes never gets here. */
  end(): void;
  /** What was sent is no sequence of gRPC messages, or too much. */
  fail(error: IngotError): void;
}

/** Reads gRPC messages off an HTTP/2 stream into a sink; pausing the stream holds the client back. */
export class RequestReader {
  readonly #stream: ServerHttp2Stream;
  readonly #deframer: Deframer;
  readonly #loan: ByteLoan;
  readonly #sink: RequestSink;
  #done = false;
  #ended = false;

  constructor(
    stream: ServerHttp2Stream,
    options: { messageBytesMax: number; loan: ByteLoan },
    sink: RequestSink,
  ) {
    this.#stream = stream;
    this.#deframer = new Deframer(options.messageBytesMax);
    this.#loan = options.loan;
    this.#sink = sink;
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.on('end', () => this.#onEnd());
  }

  /** The client's END_STREAM has been seen. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Drops whatever else comes. */
  stop(): void {
    this.#done = true;
    if (!this.#ended && !this.#stream.destroyed) this.#stream.resume();
  }

  #onData(chunk: Buffer): void {
    if (this.#done) return;
    try {
      this.#loan.take(chunk.length);
      for (const message of this.#deframer.push(chunk)) {
        this.#sink.message(message);
        if (this.#done) return;
      }
    } catch (error) {
      this.#done = true;
      this.#sink.fail(toIngotError(error));
    }
  }

  #onEnd(): void {
    // Node also ends a stream whose client reset it with NO_ERROR; such a stream is closed already.
    if (this.#stream.closed || this.#stream.destroyed) return;
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
