import type { Http2Session, ServerHttp2Session } from 'node:http2';
import type { Logger } from './logger.ts';

/** What the server knows of one connection. */
interface KeptSession {
  readonly peer: string;
  bytesRead: number;
  heardMs: number;
  pingedMs: number | undefined;
}

/** What a {@link SessionKeeper} is made of. */
export interface SessionKeeperOptions {
  readonly keepaliveIdleMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly windowBytes: number;
  readonly logger: Logger;
}

const LOOKS_PER_IDLE_TIME = 4; // How finely the idle time is seen; one timer looks after all connections.

/**
 * The open connections of a server. One that has been silent is pinged, and is destroyed with all its calls when it
 * does not answer, so a client that lost power is noticed within idle + timeout + one look. A slow but living reader
 * answers pings and is left alone.
 */
export class SessionKeeper {
  readonly #options: SessionKeeperOptions;
  readonly #sessions = new Map<Http2Session, KeptSession>();
  readonly #timer: NodeJS.Timeout;
  #emptied: PromiseWithResolvers<void> | undefined;

  constructor(options: SessionKeeperOptions) {
    this.#options = options;
    const lookMs = Math.max(
      1,
      Math.min(options.keepaliveIdleMs, options.keepaliveTimeoutMs) / LOOKS_PER_IDLE_TIME,
    );
    this.#timer = setInterval(() => this.#look(), lookMs);
    this.#timer.unref();
  }

  get size(): number {
    return this.#sessions.size;
  }

  add(session: ServerHttp2Session): void {
    const { remoteAddress = 'unknown', remotePort = 0 } = session.socket;
    const peer = remoteAddress.includes(':')
      ? `[${remoteAddress}]:${remotePort}`
      : `${remoteAddress}:${remotePort}`;
    this.#sessions.set(session, { peer, bytesRead: 0, heardMs: performance.now(), pingedMs: undefined });
    session.setLocalWindowSize(this.#options.windowBytes);
    session.on('close', () => {
      this.#sessions.delete(session);
      if (this.#sessions.size === 0) this.#emptied?.resolve();
    });
  }

  /** The client's address. */
  peerOf(session: Http2Session | undefined): string {
    return (session && this.#sessions.get(session)?.peer) ?? 'unknown';
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
    for (const [session, kept] of this.#sessions) this.#lookAt(session, kept, nowMs);
  }

  #lookAt(session: Http2Session, kept: KeptSession, nowMs: number): void {
    if (session.destroyed) return;
    const { bytesRead } = session.socket;
    if (bytesRead !== kept.bytesRead) {
      kept.bytesRead = bytesRead;
      kept.heardMs = nowMs;
      kept.pingedMs = undefined;
    } else if (kept.pingedMs === undefined) {
      if (nowMs - kept.heardMs < this.#options.keepaliveIdleMs) return;
      kept.pingedMs = nowMs;
      // The answer is seen as bytes read; the callback has nothing to add.
      session.ping(() => undefined);
    } else if (nowMs - kept.pingedMs >= this.#options.keepaliveTimeoutMs) {
      const silentMs = Math.round(nowMs - kept.heardMs);
      this.#options.logger.warn({ peer: kept.peer, silentMs }, 'dropped a connection that does not answer');
      session.destroy();
    }
  }
}
