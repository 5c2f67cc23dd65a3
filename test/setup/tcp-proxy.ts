import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** What passes at once; a slow connection is these with pauses between. */
const SLICE_BYTES = 16 * 1024;

/** A connection to a server on loopback that a test can slow down, hold and cut. `await using` closes it. */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** What passes in a second, each way and connection; undefined for all there is. */
  bytesPerSecond: number | undefined;
  /** Cuts a connection once so many bytes have come from the server on it, as often as is said. */
  cutAfter: { bytes: number; times: number } | undefined;
  /** Bytes that came from the server, over all connections. */
  bytesDown = 0;
  bytesUp = 0;

  private constructor(targetPort: number) {
    this.#server = createServer((client) => {
      const target = connect(targetPort, '127.0.0.1');
      for (const [socket, other] of [
        [client, target],
        [target, client],
      ] as const) {
        this.#sockets.add(socket);
        socket.on('error', () => other.destroy());
        socket.on('close', () => this.#sockets.delete(socket));
      }
      void this.#pass(client, target, 'up');
      void this.#pass(target, client, 'down');
    });
  }

  static async start(targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Cuts every connection there is. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #pass(from: Socket, to: Socket, direction: 'up' | 'down'): Promise<void> {
    let bytes = 0;
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
          const slice = chunk.subarray(at, at + SLICE_BYTES);
          bytes += slice.length;
          if (direction === 'down') this.bytesDown += slice.length;
          else this.bytesUp += slice.length;
          const { bytesPerSecond, cutAfter } = this;
          if (
            direction === 'down' &&
            cutAfter !== undefined &&
            cutAfter.times > 0 &&
            bytes > cutAfter.bytes
          ) {
            cutAfter.times -= 1;
            to.resetAndDestroy();
            return;
          }
          if (bytesPerSecond !== undefined) await pause((slice.length / bytesPerSecond) * 1000);
          if (to.destroyed) return;
          if (!to.write(slice)) await drained(to);
        }
      }
      to.end();
    } catch {
      // One side is gone; the handlers above take the other one away.
      to.destroy();
    }
  }
}

/** Room for more; also when there will never be any. */
async function drained(socket: Socket): Promise<void> {
  const either = new AbortController();
  const options = { signal: either.signal };
  try {
    await Promise.race([once(socket, 'drain', options), once(socket, 'close', options)]);
  } finally {
    either.abort();
  }
}
