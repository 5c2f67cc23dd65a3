import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type SecureContextOptions, type TlsOptions } from 'node:tls';
import { type ConnectionListener, Http2Connection } from './http2-connection.ts';
import type { Http2Limits } from './http2-limits.ts';
import { readInto } from './lent-reads.ts';
import { StreamWindows } from './stream-windows.ts';
import { WriteTurn } from './write-turn.ts';

/** What a server needs to speak TLS. */
export interface ServerTls {
  readonly options: TlsOptions;
  /** Tells of a certificate, key or client CA that is to be used from now on. */
  onChange(listener: (changed: SecureContextOptions) => void): void;
}

/** What a {@link Http2Server} is made of. */
export interface Http2ServerDependencies {
  readonly limits: Http2Limits;
  /** Connections at once; more are closed as they come. */
  readonly connectionsMax: number;
  /** Speaks TLS, and HTTP/2 by ALPN; without it, clear text from the first byte. */
  readonly tls?: ServerTls | undefined;
  readonly listener: Http2ServerListener;
}

/** Hears what a server brings. */
export interface Http2ServerListener extends ConnectionListener {
  onConnection(connection: Http2Connection): void;
}

const PROTOCOL = 'h2';
/** What all connections read into. Of an upload, as much comes in with one call to the system. */
const READ_BYTES = 256 * 1024;
const TLS_HANDSHAKE_MS_MAX = 20_000; // As long as a client that answers nothing else is waited for.

/** Listens for HTTP/2 connections, with TCP_NODELAY. Closing it closes no connection. */
export class Http2Server {
  readonly #server: Server;
  readonly #turn = new WriteTurn();
  readonly #windows: StreamWindows;
  readonly #readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #limits: Http2Limits;
  readonly #listener: Http2ServerListener;

  constructor({ limits, connectionsMax, tls, listener }: Http2ServerDependencies) {
    this.#limits = limits;
    this.#windows = new StreamWindows(limits);
    this.#listener = listener;
    this.#server =
      tls === undefined
        ? createServer({ noDelay: true, pauseOnConnect: true }, (socket) => this.#accept(socket))
        : secureServer(tls, (socket) => this.#acceptSecure(socket));
    this.#server.maxConnections = connectionsMax;
  }

  /** Resolves to the address it has got, rejects when that is not to be had. */
  async listen(address: { readonly host: string; readonly port: number }): Promise<AddressInfo> {
    const listening = Promise.withResolvers<void>();
    this.#server.once('error', listening.reject);
    this.#server.listen(address, listening.resolve);
    await listening.promise;
    this.#server.off('error', listening.reject);
    return this.#server.address() as AddressInfo;
  }

  /** Hears of a listening socket that fails later on. */
  onError(listener: (error: Error) => void): void {
    this.#server.on('error', listener);
  }

  /** Takes no more connections. */
  close(): void {
    if (this.#server.listening) this.#server.close();
  }

  #accept(accepted: Socket): void {
    // Nothing is read before this turn is over.
    const socket: Socket = readInto(accepted, this.#readBuffer, (bytes) => connection.receive(bytes));
    const connection = this.#open(socket);
  }

  #acceptSecure(socket: Socket): void {
    const connection = this.#open(socket);
    socket.on('data', (bytes: Buffer) => connection.receive(bytes));
  }

  #open(socket: Socket): Http2Connection {
    const connection = new Http2Connection({
      socket,
      limits: this.#limits,
      turn: this.#turn,
      windows: this.#windows,
      listener: this.#listener,
    });
    this.#listener.onConnection(connection);
    return connection;
  }
}

function secureServer(tls: ServerTls, accept: (socket: Socket) => void): Server {
  const options = {
    ...tls.options,
    noDelay: true,
    ALPNProtocols: [PROTOCOL],
    handshakeTimeout: TLS_HANDSHAKE_MS_MAX,
  };
  const server = createTlsServer(options, accept);
  tls.onChange((changed) => server.setSecureContext(changed));
  return server;
}
