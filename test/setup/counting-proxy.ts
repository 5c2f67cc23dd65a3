import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Passes TCP connections on to a port of this machine and counts every byte, each way. */
export class CountingProxy implements AsyncDisposable {
  readonly port: number;
  /** From clients to the server. */
  sentBytes = 0;
  /** From the server to clients. */
  receivedBytes = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, targetPort: number) {
    this.#server = server;
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
    this.port = address.port;
    server.on('connection', (client: Socket) => this.#pass(client, targetPort));
  }

  static async open(targetPort: number): Promise<CountingProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new CountingProxy(server, targetPort);
  }

  /** Bytes both ways since the last call. */
  take(): { readonly sentBytes: number; readonly receivedBytes: number } {
    const { sentBytes, receivedBytes } = this;
    this.sentBytes = 0;
    this.receivedBytes = 0;
    return { sentBytes, receivedBytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #pass(client: Socket, targetPort: number): void {
    const target = connect(targetPort, '127.0.0.1');
    for (const socket of [client, target]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      // Either end may go at any time; the other follows.
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        target.destroy();
      });
    }
    client.on('data', (bytes) => {
      this.sentBytes += bytes.byteLength;
    });
    target.on('data', (bytes) => {
      this.receivedBytes += bytes.byteLength;
    });
    client.pipe(target).pipe(client);
  }
}
