import type { Http2Session, ServerHttp2Session } from 'node:http2';
import { type ClientCertificate, clientCertificateOf } from '../auth/client-certificate.ts';
import type { Logger } from '../log/logger.ts';
import type { RpcServerLimits } from './rpc-limits.ts';

/** What the server knows of one connection. */
export interface KeptSession {
  readonly session: ServerHttp2Session;
  /** The client's address, for logs. */
  readonly peer: string;
  /** What the client showed of itself when it connected. */
  readonly certificate: ClientCertificate | undefined;
  /** What a client may send on a stream that is not read. */
  readonly streamWindowBytes: number;
}

interface Entry extends KeptSession {
  streamWindowBytes: number;
  calls: number;
  bytesRead: number;
  heardMs: number;
  pingedMs: number | undefined;
}

/** What a {@link SessionKeeper} is made of. */
export interface SessionKeeperDependencies {
  readonly limits: RpcServerLimits;
  readonly logger: Logger;
}

const LOOKS_PER_IDLE_TIME = 4; // How finely the idle time is seen; one timer looks after all connections.

/**
 * The open connections of a server. One that has been silent is pinged, and is destroyed with all its calls when it
 * does not answer, so a client that lost power is noticed within idle + timeout + one look. A slow but living reader
 * answers pings and is left alone. One with many calls gets small windows for them.
 */
export class SessionKeeper {
  readonly #limits: RpcServerLimits;
  readonly #logger: Logger;
  readonly #sessions = new Map<Http2Session, Entry>();
  readonly #timer: NodeJS.Timeout;
  #emptied: PromiseWithResolvers<void> | undefined;

  constructor({ limits, logger }: SessionKeeperDependencies) {
    this.#limits = limits;
    this.#logger = logger;
    const lookMs = Math.min(limits.keepaliveIdleMs, limits.keepaliveTimeoutMs) / LOOKS_PER_IDLE_TIME;
    this.#timer = setInterval(() => this.#look(), lookMs);
    this.#timer.unref();
  }

  add(session: ServerHttp2Session): void {
    const { remoteAddress = 'unknown', remotePort = 0 } = session.socket;
    const host = remoteAddress.includes(':') ? `[${remoteAddress}]` : remoteAddress;
    this.#sessions.set(session, {
      session,
      peer: `${host}:${remotePort}`,
      certificate: clientCertificateOf(session.socket),
      streamWindowBytes: this.#limits.streamWindowBytes,
      calls: 0,
      bytesRead: 0,
      heardMs: performance.now(),
      pingedMs: undefined,
    });
    session.setLocalWindowSize(this.#limits.sessionWindowBytes);
    session.on('close', () => {
      this.#sessions.delete(session);
      if (this.#sessions.size === 0) this.#emptied?.resolve();
    });
  }

  /** Undefined when the connection is gone already. */
  find(session: Http2Session | undefined): KeptSession | undefined {
    return session && this.#sessions.get(session);
  }

  callStarted(kept: KeptSession): void {
    const entry = this.#sessions.get(kept.session);
    if (entry === undefined) return;
    entry.calls++;
    const { crowdedStreams, crowdedStreamWindowBytes } = this.#limits;
    if (entry.calls > crowdedStreams) setStreamWindow(entry, crowdedStreamWindowBytes);
  }

  callEnded(kept: KeptSession): void {
    const entry = this.#sessions.get(kept.session);
    if (entry === undefined) return;
    entry.calls--;
    const { crowdedStreams, streamWindowBytes } = this.#limits;
    // Well below the number that made them small, so that they do not change to and fro.
    if (entry.calls < crowdedStreams / 2) setStreamWindow(entry, streamWindowBytes);
  }

  /** Tells every client to open no more calls here (GOAWAY), and closes the connections whose calls are over. */
  closeGently(): void {
    for (const session of this.#sessions.keys()) session.close();
  }

  /** Waits until no connection is left. */
  async whenEmpty(): Promise<void> {
    if (this.#sessions.size === 0) return;
    this.#emptied ??= Promise.withResolvers();
    await this.#emptied.promise;
  }

  /** Drops the connections that are left. */
  destroy(): void {
    clearInterval(this.#timer);
    for (const session of this.#sessions.keys()) session.destroy();
  }

  #look(): void {
    const nowMs = performance.now();
    for (const entry of this.#sessions.values()) this.#lookAt(entry, nowMs);
  }

  #lookAt(entry: Entry, nowMs: number): void {
    const { session, peer } = entry;
    if (session.destroyed) return;
    const { bytesRead } = session.socket;
    if (bytesRead !== entry.bytesRead) {
      entry.bytesRead = bytesRead;
      entry.heardMs = nowMs;
      entry.pingedMs = undefined;
    } else if (entry.pingedMs === undefined) {
      if (nowMs - entry.heardMs < this.#limits.keepaliveIdleMs) return;
      entry.pingedMs = nowMs;
      // The answer is seen as bytes read; the callback has nothing to add.
      session.ping(() => undefined);
    } else if (nowMs - entry.pingedMs >= this.#limits.keepaliveTimeoutMs) {
      const silentMs = Math.round(nowMs - entry.heardMs);
      this.#logger.warn({ peer, silentMs }, 'dropped a connection that does not answer');
      session.destroy();
    }
  }
}

function setStreamWindow(entry: Entry, bytes: number): void {
  const { session } = entry;
  // One change at a time: a client that acknowledges none must not fill the list of those that wait.
  if (entry.streamWindowBytes === bytes || session.destroyed || session.pendingSettingsAck) return;
  entry.streamWindowBytes = bytes;
  session.settings({ initialWindowSize: bytes });
}
