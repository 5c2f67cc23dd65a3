import type { Http2Connection } from '../http2/http2-connection.ts';
import type { Logger } from '../log/logger.ts';
import type { RpcServerLimits } from './rpc-limits.ts';

interface Entry {
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
 * answers pings and is left alone; one that does not get its handshake done is not.
 */
export class SessionKeeper {
  readonly #limits: RpcServerLimits;
  readonly #logger: Logger;
  readonly #sessions = new Map<Http2Connection, Entry>();
  readonly #timer: NodeJS.Timeout;
  #emptied: PromiseWithResolvers<void> | undefined;

  constructor({ limits, logger }: SessionKeeperDependencies) {
    this.#limits = limits;
    this.#logger = logger;
    const lookMs = Math.min(limits.keepaliveIdleMs, limits.keepaliveTimeoutMs) / LOOKS_PER_IDLE_TIME;
    this.#timer = setInterval(() => this.#look(), lookMs);
    this.#timer.unref();
  }

  add(session: Http2Connection): void {
    this.#sessions.set(session, {
      bytesRead: 0,
      heardMs: session.openedMs,
      pingedMs: undefined,
    });
  }

  remove(session: Http2Connection): void {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) this.#emptied?.resolve();
  }

  /** Tells every client to open no more calls here (GOAWAY), and closes the connections whose calls are over. */
  closeGently(): void {
    for (const session of [...this.#sessions.keys()]) session.close();
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
    for (const session of [...this.#sessions.keys()]) session.destroy();
  }

  #look(): void {
    const nowMs = performance.now();
    for (const [session, entry] of [...this.#sessions]) this.#lookAt(session, entry, nowMs);
  }

  #lookAt(session: Http2Connection, entry: Entry, nowMs: number): void {
    const { bytesRead } = session;
    const { keepaliveIdleMs, keepaliveTimeoutMs } = this.#limits;
    if (!session.greeted && nowMs - session.openedMs >= keepaliveIdleMs + keepaliveTimeoutMs) {
      this.#drop(session, 'dropped a connection that does not come to an HTTP/2 handshake', entry, nowMs);
    } else if (bytesRead !== entry.bytesRead) {
      entry.bytesRead = bytesRead;
      entry.heardMs = nowMs;
      entry.pingedMs = undefined;
    } else if (entry.pingedMs === undefined) {
      if (nowMs - entry.heardMs < keepaliveIdleMs) return;
      entry.pingedMs = nowMs;
      session.ping();
    } else if (nowMs - entry.pingedMs >= keepaliveTimeoutMs) {
      this.#drop(session, 'dropped a connection that does not answer', entry, nowMs);
    }
  }

  #drop(session: Http2Connection, message: string, { heardMs }: Entry, nowMs: number): void {
    this.#logger.warn({ peer: session.peer, silentMs: Math.round(nowMs - heardMs) }, message);
    session.destroy();
  }
}
