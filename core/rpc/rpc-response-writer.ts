import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import type { IngotError } from '../error.ts';
import { acceptedEncodings } from './rpc-inflate.ts';
import { statusTrailers } from './rpc-status.ts';

const RESPONSE_HEADERS: OutgoingHttpHeaders = Object.freeze({
  ':status': 200,
  'content-type': 'application/grpc',
});
const REFUSAL_HEADERS: OutgoingHttpHeaders = Object.freeze({
  ...RESPONSE_HEADERS,
  'grpc-accept-encoding': acceptedEncodings,
});
// `sendDate` saves formatting and sending a date that no gRPC client reads; the type declarations lack it.
const WITH_TRAILERS: { readonly waitForTrailers: boolean } = Object.freeze({
  waitForTrailers: true,
  sendDate: false,
});
const WITHOUT_BODY: { readonly endStream: boolean } = Object.freeze({ endStream: true, sendDate: false });

/** Bytes of one response handed to the connection but not sent yet; a slow reader costs the server so much. */
const UNSENT_BYTES_MAX = 256 * 1024;

/** Writes the answer of one call: headers, messages, trailers. Every `write` is awaited, or memory fills. */
export class ResponseWriter {
  readonly #stream: ServerHttp2Stream;
  #trailers: OutgoingHttpHeaders = {};
  #resetWhenDone = false;
  #room: PromiseWithResolvers<void> | undefined;
  #onWritten: (() => void) | undefined;

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
  }

  /** Sends a framed message; resolves when there is room for another, or the stream is closed. */
  async write(frame: readonly Uint8Array[]): Promise<void> {
    if (this.#isGone()) return;
    this.#sendHeaders();
    this.#onWritten ??= () => this.#releaseIfRoom();
    for (const part of frame) this.#stream.write(part, this.#onWritten);
    if (this.#stream.writableLength < UNSENT_BYTES_MAX) return;
    this.#room = Promise.withResolvers();
    await this.#room.promise;
  }

  /** Sends the one framed message of a call, and OK. */
  endWith(frame: readonly Uint8Array[], options: { readonly resetWhenDone: boolean }): void {
    if (this.#isGone()) return;
    this.#sendHeaders();
    this.#trailers = statusTrailers(undefined);
    this.#resetWhenDone = options.resetWhenDone;
    for (const part of frame) this.#stream.write(part);
    this.#stream.end();
  }

  /** Sends the status. `resetWhenDone` tells a client which is still sending to stop. */
  end(error: IngotError | undefined, options: { readonly resetWhenDone: boolean }): void {
    this.release();
    if (this.#isGone()) return;
    this.#trailers = statusTrailers(error);
    this.#resetWhenDone = options.resetWhenDone;
    if (this.#stream.headersSent) this.#stream.end();
    else {
      this.#stream.respond({ ...REFUSAL_HEADERS, ...this.#trailers }, WITHOUT_BODY);
      this.#resetIfAsked();
    }
  }

  /** Lets a waiting `write` go on, since the stream is closed. */
  release(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  #isGone(): boolean {
    return this.#stream.closed || this.#stream.destroyed;
  }

  #releaseIfRoom(): void {
    if (this.#room !== undefined && this.#stream.writableLength < UNSENT_BYTES_MAX) this.release();
  }

  #sendHeaders(): void {
    if (this.#stream.headersSent) return;
    this.#stream.on('wantTrailers', () => {
      this.#stream.sendTrailers(this.#trailers);
      // Node submits the trailers in a setImmediate of its own; the reset must come after them.
      if (this.#resetWhenDone) setImmediate(() => this.#resetIfAsked());
    });
    this.#stream.respond(RESPONSE_HEADERS, WITH_TRAILERS);
  }

  #resetIfAsked(): void {
    if (this.#resetWhenDone && !this.#isGone()) this.#stream.close(constants.NGHTTP2_NO_ERROR);
  }
}
