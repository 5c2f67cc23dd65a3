import { connect, type Socket } from 'node:net';

/** An answer as it came. */
export interface RawHttpAnswer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

const BLANK_LINE = '\r\n\r\n';

/** HTTP/1.1 by hand: what is sent, when, and when one looks for an answer is for the test to say. */
export class RawHttp implements Disposable {
  readonly socket: Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  #unread = '';

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.#chunks = this.socket.iterator({ destroyOnReturn: false });
  }

  /** Sends the head of a request. */
  head(requestLine: string, ...headers: readonly string[]): Promise<void> {
    return this.send(
      Buffer.from([`${requestLine} HTTP/1.1`, 'Host: x', ...headers].join('\r\n') + BLANK_LINE),
    );
  }

  /** Resolves when the system has taken all bytes, whether or not there is an answer by then. */
  send(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** The next answer, interim ones included. */
  async answer(): Promise<RawHttpAnswer> {
    const head = await this.#until(BLANK_LINE);
    const [statusLine = '', ...lines] = head.split('\r\n');
    const headers = new Map(
      lines.map((line) => [
        line.slice(0, line.indexOf(':')).toLowerCase(),
        line.slice(line.indexOf(':') + 1).trim(),
      ]),
    );
    const bodyBytes = Number(headers.get('content-length') ?? 0);
    while (this.#unread.length < bodyBytes) await this.#more();
    const body = this.#unread.slice(0, bodyBytes);
    this.#unread = this.#unread.slice(bodyBytes);
    return { status: Number(statusLine.split(' ')[1]), headers, body };
  }

  /** Resolves when the server has closed the connection, having said nothing more. */
  async closed(): Promise<void> {
    if (this.#unread !== '' || !(await this.#chunks.next()).done) throw new Error('more came');
  }

  async #until(mark: string): Promise<string> {
    while (!this.#unread.includes(mark)) await this.#more();
    const end = this.#unread.indexOf(mark);
    const text = this.#unread.slice(0, end);
    this.#unread = this.#unread.slice(end + mark.length);
    return text;
  }

  async #more(): Promise<void> {
    const { done, value } = await this.#chunks.next();
    if (done) throw new Error(`the connection was closed after: ${this.#unread}`);
    this.#unread += value.toString('latin1');
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** A body in chunked encoding. */
export function chunked(bytes: Uint8Array, chunkBytes = 65_536): Buffer {
  const parts: Uint8Array[] = [];
  for (let start = 0; start < bytes.byteLength; start += chunkBytes) {
    const chunk = bytes.subarray(start, start + chunkBytes);
    parts.push(Buffer.from(`${chunk.byteLength.toString(16)}\r\n`), chunk, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}
