import type { IncomingMessage, ServerResponse } from 'node:http';
import { cancelled, invalidArgument, outOfRange } from '../../core/error.ts';

/** A client that sends nothing for so long is let go; the bar is 30 s. The whole may take any time. */
const STALLED_MS = 25_000;

/** What an {@link HttpBody} is read with. */
export interface HttpBodyOptions {
  readonly bytesMax: number;
  /** Called with the bytes of each piece as it comes. */
  readonly onReceived: (bytes: number) => void;
}

/**
 * The body of a PUT. `bytes` yields it, and at the first byte beyond the limit throws and sets `isTooLarge`, which
 * the server answers with 413. A client that waits for leave to send gets it when the reading begins.
 */
export class HttpBody {
  readonly contentBytes: number | undefined;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #bytesMax: number;
  readonly #onReceived: (bytes: number) => void;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #begun = false;
  #receivedBytes = 0;
  #isTooLarge: boolean;

  constructor(request: IncomingMessage, response: ServerResponse, { bytesMax, onReceived }: HttpBodyOptions) {
    this.#request = request;
    this.#response = response;
    this.#bytesMax = bytesMax;
    this.#onReceived = onReceived;
    // A store that needs no more bytes leaves the body; the connection must live on for the answer.
    this.#chunks = request.iterator({ destroyOnReturn: false });
    this.contentBytes = parseLength(request.headers['content-length']);
    this.#isTooLarge = this.contentBytes !== undefined && this.contentBytes > bytesMax;
  }

  /** More than is accepted, by what the client said or by what it sent. */
  get isTooLarge(): boolean {
    return this.#isTooLarge;
  }

  async *bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    this.#begin();
    for (;;) {
      const chunk = await this.#next();
      if (chunk === undefined) return;
      yield chunk;
    }
  }

  /**
   * Reads what is left of the body of a PUT that went well, as when another upload of the blob was done first: few
   * clients can take an answer while they send. One that still waits for leave to send is spared it.
   */
  async finish(): Promise<void> {
    if (!this.#begun && expectsContinue(this.#request)) return;
    this.#begin();
    while ((await this.#next()) !== undefined);
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    if (!waitsForLeave(this.#request)) return;
    this.#response.writeContinue();
    this.#response.removeHeader('connection');
  }

  /** The next piece, undefined at the end. Only this is timed: while the store has a piece, nobody waits for the client. */
  async #next(): Promise<Uint8Array | undefined> {
    const timer = setTimeout(() => this.#request.destroy(), STALLED_MS);
    let next: IteratorResult<Uint8Array>;
    try {
      next = await this.#chunks.next();
    } catch (cause) {
      throw cancelled('the HTTP client broke off its upload', { cause });
    } finally {
      clearTimeout(timer);
    }
    if (next.done) return undefined;
    this.#receivedBytes += next.value.byteLength;
    this.#onReceived(next.value.byteLength);
    this.#isTooLarge ||= this.#receivedBytes > this.#bytesMax;
    if (this.#isTooLarge) throw outOfRange(`more than ${this.#bytesMax} bytes arrived`);
    return next.value;
  }
}

/**
 * Who says `Expect: 100-continue` waits by the rules. ccache does not say so, but its head and its body are two small
 * writes on a socket with Nagle's algorithm: the body leaves when the head is acknowledged, which the system puts off
 * for 40 ms unless something goes the other way. An interim answer, which every HTTP/1.1 client must take, is that
 * something. It goes to ccache only, since not all clients do what they must.
 */
function waitsForLeave(request: IncomingMessage): boolean {
  const { 'user-agent': userAgent = '', 'content-length': contentLength } = request.headers;
  return expectsContinue(request) || (userAgent.startsWith('ccache/') && contentLength !== '0');
}

function expectsContinue({ headers: { expect = '' } }: IncomingMessage): boolean {
  return /^100-continue$/i.test(expect);
}

/** Node has seen to it that it is a number and not beside chunked encoding. */
function parseLength(contentLength: string | undefined): number | undefined {
  if (contentLength === undefined) return undefined;
  const bytes = Number(contentLength);
  if (!Number.isSafeInteger(bytes)) throw invalidArgument(`content-length ${contentLength} is too large`);
  return bytes;
}
