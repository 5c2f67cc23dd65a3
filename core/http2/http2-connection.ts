import type { Socket } from 'node:net';
import { type ClientCertificate, clientCertificateOf } from '../auth/client-certificate.ts';
import { ConnectionOutput } from './connection-output.ts';
import { FrameDispatch } from './frame-dispatch.ts';
import { FrameReader } from './frame-reader.ts';
import { Http2Error } from './http2-error.ts';
import { FRAME_BYTES_MAX, type Http2Limits, LINGER_MS } from './http2-limits.ts';
import type { Http2Stream } from './http2-stream.ts';
import { PeerSettings } from './peer-settings.ts';
import { DEFAULT_WINDOW_BYTES, ErrorCode, SettingId } from './protocol.ts';
import { RequestStreams } from './request-streams.ts';
import type { StreamWindows } from './stream-windows.ts';
import type { WriteTurn } from './write-turn.ts';

/** Hears what a connection brings. */
export interface ConnectionListener {
  /** A request has come; its listener is to be set before this returns. */
  onStream(stream: Http2Stream, connection: Http2Connection): void;
  /** The connection is over; all its streams are gone. */
  onClose(connection: Http2Connection): void;
  /** The client broke HTTP/2 (an Http2Error), or the connection failed. It ends. */
  onError(error: Error, connection: Http2Connection): void;
}

/** What a {@link Http2Connection} is made of. */
export interface Http2ConnectionDependencies {
  readonly socket: Socket;
  readonly limits: Http2Limits;
  readonly turn: WriteTurn;
  /** Of all connections of the server. */
  readonly windows: StreamWindows;
  readonly listener: ConnectionListener;
}

const PING_PAYLOAD = Buffer.alloc(8);

/**
 * The server's side of one HTTP/2 connection. States: open; closing (GOAWAY is sent: no new streams, and it ends with
 * the last one); ended (nothing is read, the client has a moment to take the last bytes); closed.
 */
export class Http2Connection {
  /** The client's address, for logs. */
  readonly peer: string;
  /** What the client showed of itself when it connected. */
  readonly certificate: ClientCertificate | undefined;
  readonly openedMs = performance.now();
  readonly #socket: Socket;
  readonly #listener: ConnectionListener;
  readonly #output: ConnectionOutput;
  readonly #reader: FrameReader;
  readonly #streams: RequestStreams;
  readonly #dispatch: FrameDispatch;
  #state: 'open' | 'closing' | 'ended' | 'closed' = 'open';

  constructor({ socket, limits, turn, windows, listener }: Http2ConnectionDependencies) {
    this.#socket = socket;
    this.#listener = listener;
    this.peer = addressOf(socket);
    this.certificate = clientCertificateOf(socket);
    const settings = new PeerSettings();
    this.#output = new ConnectionOutput({ socket, settings, turn });
    this.#streams = new RequestStreams({
      limits,
      settings,
      output: this.#output,
      windows,
      onStream: (stream) => listener.onStream(stream, this),
      onEmpty: () => this.#endIfDone(),
    });
    this.#dispatch = new FrameDispatch({ limits, settings, output: this.#output, streams: this.#streams });
    this.#reader = new FrameReader(this.#dispatch, { frameBytesMax: FRAME_BYTES_MAX });
    this.#greet(limits);
    socket.on('error', (error) => listener.onError(error, this));
    // A client that sends no more cannot be told from one that is gone.
    socket.on('end', () => this.#enterClosed());
    socket.on('close', () => this.#enterClosed());
  }

  /** The preface and the first SETTINGS have come. */
  get greeted(): boolean {
    return this.#dispatch.greeted;
  }

  /** All bytes that the client has sent. */
  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  get closed(): boolean {
    return this.#state === 'closed';
  }

  /** Takes what the client has sent; the bytes are only lent. */
  receive(bytes: Buffer): void {
    if (this.#state === 'ended' || this.#state === 'closed') return;
    try {
      this.#reader.push(bytes);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** The answer is seen as bytes read. */
  ping(): void {
    this.#output.control((frames) => frames.ping(PING_PAYLOAD, 0, PING_PAYLOAD.length, false));
  }

  /** Takes no new streams, and ends with the last of those that run. */
  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'closing';
    this.#streams.refuseNew();
    this.#goAway(ErrorCode.noError, '');
    this.#endIfDone();
  }

  /** Drops it with all its streams. */
  destroy(): void {
    this.#socket.destroy();
    this.#enterClosed();
  }

  #greet(limits: Http2Limits): void {
    const more = limits.connectionWindowBytes - DEFAULT_WINDOW_BYTES;
    this.#output.control((frames) => {
      frames.settings([
        [SettingId.enablePush, 0],
        [SettingId.maxConcurrentStreams, limits.streamsMax],
        [SettingId.initialWindowSize, limits.firstWindowBytes],
        [SettingId.maxFrameSize, FRAME_BYTES_MAX],
        [SettingId.maxHeaderListSize, limits.headerBytesMax],
      ]);
      if (more > 0) frames.windowUpdate(0, more);
    });
  }

  #fail(error: Error): void {
    const code = error instanceof Http2Error ? error.code : ErrorCode.internalError;
    this.#listener.onError(error, this);
    this.#goAway(code, error instanceof Http2Error ? error.message : '');
    this.#enterEnded();
    this.#streams.leaveAll();
  }

  #goAway(code: number, reason: string): void {
    this.#output.control((frames) => frames.goAway(this.#streams.lastId, code, reason));
  }

  #endIfDone(): void {
    if (this.#state === 'closing' && this.#streams.size === 0) this.#enterEnded();
  }

  #enterEnded(): void {
    this.#state = 'ended';
    this.#reader.stop();
    this.#output.flush();
    this.#output.close();
    this.#socket.end();
    const timer = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    this.#socket.once('close', () => clearTimeout(timer));
  }

  #enterClosed(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#reader.stop();
    this.#output.close();
    this.#socket.destroy();
    this.#streams.leaveAll();
    this.#listener.onClose(this);
  }
}

function addressOf({ remoteAddress = 'unknown', remotePort = 0 }: Socket): string {
  return `${remoteAddress.includes(':') ? `[${remoteAddress}]` : remoteAddress}:${remotePort}`;
}
