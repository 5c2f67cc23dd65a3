import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** One keep-alive connection that sends GETs one after another and counts bodies: as little work as a client can do. */
export class WireClient {
  readonly #socket: Socket;
  readonly #request: (path: string) => string;
  #left = 0;
  #head = '';
  #done: (() => void) | undefined;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#request = (path) => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`;
    this.#socket.on('data', (chunk) => this.#take(chunk));
  }

  async connected(): Promise<void> {
    await once(this.#socket, 'connect');
  }

  /** Resolves when the last byte of the body has come. */
  get(path: string): Promise<void> {
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#socket.write(this.#request(path));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    let body = chunk.length;
    if (this.#left === 0) {
      this.#head += chunk.toString('latin1', 0, 2048);
      const end = this.#head.indexOf('\r\n\r\n');
      if (end === -1) return;
      const length = /^content-length: (\d+)/im.exec(this.#head.slice(0, end));
      if (length === null || !this.#head.startsWith('HTTP/1.1 200')) throw new Error(this.#head);
      this.#left = Number(length[1]);
      body = chunk.length - (end + 4);
      this.#head = '';
    }
    this.#left -= body;
    if (this.#left === 0) this.#done?.();
  }
}
