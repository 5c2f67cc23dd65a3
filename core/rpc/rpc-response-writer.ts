import type { IngotError } from '../error.ts';
import { encodeHeaders } from '../http2/hpack-encoder.ts';
import type { Http2Stream } from '../http2/http2-stream.ts';
import { type Frame, whenSent } from './rpc-frame.ts';
import { acceptedEncodings } from './rpc-inflate.ts';
import { statusTrailers } from './rpc-status.ts';

const RESPONSE_HEADERS = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
] as const;
const REFUSAL_HEADERS = [...RESPONSE_HEADERS, ['grpc-accept-encoding', acceptedEncodings]] as const;

const responseBlock = encodeHeaders(RESPONSE_HEADERS);
const okTrailersBlock = encodeHeaders(Object.entries(statusTrailers(undefined)));
const NOTHING: readonly Uint8Array[] = [];

/** Writes the answer of one call: headers, messages, trailers. */
export class ResponseWriter {
  readonly #stream: Http2Stream;

  constructor(stream: Http2Stream) {
    this.#stream = stream;
  }

  /** To be awaited before a message of about this size is made, or memory fills; undefined when it can be made now. */
  turn(bytes: number): Promise<void> | undefined {
    return this.#stream.turn(bytes);
  }

  /** Sends a framed message; `onSent` as of the stream's `write`. */
  write(frame: Frame, onSent?: () => void): void {
    this.#sendHeaders();
    this.#stream.write(frame.parts, whenSent(frame, onSent));
  }

  /** Sends the one framed message of a call, and OK. */
  endWith(
    frame: Frame,
    { reset, onSent }: { readonly reset: boolean; readonly onSent?: (() => void) | undefined },
  ): void {
    this.#sendHeaders();
    this.#stream.end(frame.parts, okTrailersBlock, { reset, onSent: whenSent(frame, onSent) });
  }

  /** Sends the status; `reset` tells a client which is still sending to stop. */
  end(error: IngotError | undefined, { reset }: { readonly reset: boolean }): void {
    if (this.#stream.closed) return;
    const trailers = Object.entries(statusTrailers(error));
    if (this.#stream.headersSent) this.#stream.end(NOTHING, encodeHeaders(trailers), { reset });
    else this.#stream.respond(encodeHeaders([...REFUSAL_HEADERS, ...trailers]), { endStream: true, reset });
  }

  #sendHeaders(): void {
    if (!this.#stream.headersSent) this.#stream.respond(responseBlock);
  }
}
