import type { ExecuteResponse } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Offer } from '../../../proto/gen/ingot/v1/bus.ts';

/** What really happened, across all restarts, and the rules it must not break. */
export class SimTruth {
  /** Newest epoch any offer was sent with, by operation. */
  readonly #epochs = new Map<string, number>();
  /** To whom each epoch of an operation was offered. */
  readonly #holders = new Map<string, string>();
  /** The one commit that was accepted, by operation. */
  readonly #accepted = new Map<string, string>();
  /** The end a client was told, by operation. */
  readonly #told = new Map<string, string>();
  /** Action cache: what was made, by join key. */
  readonly actionCache = new Map<string, string>();
  readonly counts = { accepted: 0, stale: 0, cacheWrites: 0, workersLost: 0 };

  offered({ operationName, epoch, workerId, incarnation }: Offer): void {
    const key = `${operationName}@${epoch}`;
    const holder = `${workerId} ${incarnation}`;
    const before = this.#holders.get(key) ?? holder;
    if (before !== holder) throw new Error(`${key} was offered to ${before}, then to ${holder}`);
    this.#holders.set(key, holder);
    this.#epochs.set(operationName, Math.max(epoch, this.#epochs.get(operationName) ?? 0));
  }

  /** A durable write to the action cache. */
  cached(key: string, operationName: string, epoch: number, made: string): void {
    const newest = this.#epochs.get(operationName);
    if (newest !== epoch) {
      throw new Error(`action cache written from epoch ${epoch} of ${operationName}, newest is ${newest}`);
    }
    this.counts.cacheWrites += 1;
    this.actionCache.set(key, made);
  }

  /** A worker was told that its result is the operation's. */
  committed(operationName: string, made: string): void {
    const before = this.#accepted.get(operationName);
    if (before !== undefined && before !== made) {
      throw new Error(`${operationName}: accepted ${before}, then ${made}`);
    }
    this.#accepted.set(operationName, made);
    this.counts.accepted += 1;
  }

  /** A client was told how an operation ended. */
  ended(operationName: string, response: ExecuteResponse): void {
    const { status, message } = response;
    const end = JSON.stringify([status?.code, status?.message, message]);
    const before = this.#told.get(operationName);
    if (before !== undefined && before !== end) {
      throw new Error(`${operationName}: one client was told ${before}, another ${end}`);
    }
    this.#told.set(operationName, end);
  }
}
