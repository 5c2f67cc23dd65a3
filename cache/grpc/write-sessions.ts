import type { Digest } from '../../core/digest.ts';
import {
  aborted,
  cancelled,
  type IngotError,
  isIngotError,
  resourceExhausted,
  unavailable,
} from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { ByteBudget } from '../../core/rpc/rpc-byte-budget.ts';
import { startTimer } from '../../core/timer.ts';
import { Compressor_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { UploadStages } from '../uploads/upload-stages.ts';
import type { UploadSink } from './upload-sink.ts';
import { type WriteAttachment, WriteSession } from './write-session.ts';

/** What uploads may take of the server while they are under way. */
export interface WriteSessionLimits {
  /** Uploads at once, those waiting to be resumed included. */
  readonly sessionsMax: number;
  /** Bytes of all uploads in memory, which their stores have not taken yet; further pieces are refused. */
  readonly bufferedBytesMax: number;
  /** Bytes of uploads that wait to be resumed; the oldest are given up beyond it. */
  readonly detachedBytesMax: number;
  /** How long an upload waits to be resumed. */
  readonly detachedMs: number;
}

/** A client that lost its connection is back within seconds, a restarted one within a minute or never. */
export const defaultWriteSessionLimits: WriteSessionLimits = {
  sessionsMax: 4096,
  bufferedBytesMax: 512 * 1024 ** 2,
  detachedBytesMax: 8 * 1024 ** 3,
  detachedMs: 2 * 60_000,
};

/** Smaller uploads are sent again as fast as it is found out how much of them is here. */
const STAGED_BLOB_BYTES_MIN = 4 * 1024 ** 2;

/** How long a client is asked to wait when there are too many uploads, or the server closes. */
const RETRY_MS = 1_000;

/** What an upload is told apart by. */
export interface UploadName {
  readonly instanceName: string;
  readonly uuid: string;
  readonly digest: Digest;
  readonly compressor: Compressor_Value;
}

/** Where an upload goes, and as part of which build. */
interface WriteTarget {
  readonly sink: UploadSink;
  readonly invocationId?: string | undefined;
}

/** A stream that brings the next bytes of an upload. */
export interface WriteStream extends WriteTarget {
  /** Where its first piece belongs. */
  readonly offset: number;
  readonly signal: AbortSignal;
}

interface Entry {
  readonly key: string;
  readonly session: WriteSession;
  /** Set while it waits to be resumed. */
  cancelTimer?: (() => void) | undefined;
}

/**
 * The uploads under way by name, so that one whose stream broke can be taken up by another. Large ones that come as they
 * are outlive a restart when there are stages; others begin anew.
 */
export class WriteSessions implements AsyncDisposable {
  readonly #limits: WriteSessionLimits;
  readonly #stages: UploadStages | undefined;
  readonly #budget: ByteBudget;
  /** In order of their last detachment, oldest first. */
  readonly #entries = new Map<string, Entry>();
  #closed = false;

  constructor(limits: WriteSessionLimits = defaultWriteSessionLimits, stages?: UploadStages) {
    this.#limits = limits;
    this.#stages = stages;
    this.#budget = new ByteBudget(limits.bufferedBytesMax);
  }

  /** Uploads under way, those waiting to be resumed included. */
  get size(): number {
    return this.#entries.size;
  }

  /** Bytes that have arrived of an upload; undefined when nothing is known of it. */
  committedBytes(name: UploadName): number | undefined {
    const key = keyOf(name);
    return this.#entries.get(key)?.session.committedBytes ?? this.#stages?.durableBytes(key);
  }

  /** The same for a client that asks: of an upload with a stage no more than outlives this process. */
  async status(name: UploadName, options: IoOptions): Promise<number | undefined> {
    const key = keyOf(name);
    const session = this.#entries.get(key)?.session;
    return session === undefined ? this.#stages?.durableBytes(key) : await session.durableBytes(options);
  }

  /**
   * Attaches a stream to its upload, taking it over from another stream. One that begins at 0 begins anew.
   * RESOURCE_EXHAUSTED when there are too many.
   */
  attach(name: UploadName, { offset, sink, signal, invocationId }: WriteStream): WriteAttachment {
    if (this.#closed) throw closing();
    const key = keyOf(name);
    let entry = this.#entries.get(key);
    if (
      entry !== undefined &&
      offset === 0 &&
      entry.session.committedBytes > 0 &&
      !entry.session.isFinishing
    ) {
      this.#giveUp(entry, aborted(`Write ${name.digest}: the upload was begun anew`));
      entry = undefined;
    }
    entry ??= this.#open(key, name, { offset, sink, invocationId });
    entry.cancelTimer?.();
    entry.cancelTimer = undefined;
    const attached = entry;
    return entry.session.attach(signal, () => this.#onDetached(attached));
  }

  /** Memory for an upload that came whole, while it is being stored. RESOURCE_EXHAUSTED when there is none left. */
  borrow(bytes: number): Disposable {
    if (this.#closed) throw closing();
    this.#budget.take(bytes);
    return { [Symbol.dispose]: () => this.#budget.give(bytes) };
  }

  /** Gives up every upload. */
  async close(): Promise<void> {
    this.#closed = true;
    const entries = [...this.#entries.values()];
    for (const entry of entries) this.#giveUp(entry, closing());
    await Promise.allSettled(entries.map(({ session }) => session.stored()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #open(key: string, name: UploadName, { offset, sink, invocationId }: Omit<WriteStream, 'signal'>): Entry {
    const { digest } = name;
    if (this.#entries.size >= this.#limits.sessionsMax && !this.#giveUpOldest()) {
      throw resourceExhausted(
        `Write ${digest}: ${this.#limits.sessionsMax} uploads are under way, as many as are allowed`,
        { details: [retryInfo(RETRY_MS)] },
      );
    }
    const stage = isStaged(name) ? this.#stages?.take(key, digest, offset) : undefined;
    const onOver = (error: IngotError | undefined): void => {
      entry.cancelTimer?.();
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
      if (stage !== undefined) this.#stages?.leave(stage, { isKept: isIngotError(error, Code.UNAVAILABLE) });
    };
    const session = new WriteSession({ digest, sink, stage, invocationId, budget: this.#budget, onOver });
    const entry: Entry = { key, session };
    this.#entries.set(key, entry);
    return entry;
  }

  #onDetached(entry: Entry): void {
    if (this.#entries.get(entry.key) !== entry) return;
    const { digest, committedBytes } = entry.session;
    if (committedBytes === 0) {
      this.#giveUp(entry, cancelled(`Write ${digest}: its stream ended before anything arrived`));
      return;
    }
    this.#entries.delete(entry.key);
    this.#entries.set(entry.key, entry);
    entry.cancelTimer = startTimer(this.#limits.detachedMs, () => {
      this.#giveUp(entry, cancelled(`Write ${digest}: not resumed within ${this.#limits.detachedMs} ms`));
    });
    while (this.#detachedBytes() > this.#limits.detachedBytesMax) this.#giveUpOldest();
  }

  #detachedBytes(): number {
    let bytes = 0;
    for (const { session } of this.#entries.values()) {
      if (!session.isAttached && !session.isFinishing) bytes += session.committedBytes;
    }
    return bytes;
  }

  #giveUpOldest(): boolean {
    for (const entry of this.#entries.values()) {
      if (entry.session.isAttached || entry.session.isFinishing) continue;
      this.#giveUp(
        entry,
        resourceExhausted(`Write ${entry.session.digest}: room was needed for other uploads`, {
          details: [retryInfo(RETRY_MS)],
        }),
      );
      return true;
    }
    return false;
  }

  #giveUp(entry: Entry, reason: IngotError): void {
    entry.cancelTimer?.();
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key);
    entry.session.abort(reason);
  }
}

function closing(): IngotError {
  return unavailable('the server is closing', { details: [retryInfo(RETRY_MS)] });
}

function isStaged({ digest, compressor }: UploadName): boolean {
  return compressor === Compressor_Value.IDENTITY && digest.sizeBytes > STAGED_BLOB_BYTES_MIN;
}

function keyOf({ instanceName, uuid, digest, compressor }: UploadName): string {
  return `${instanceName}\0${uuid}\0${digest.key}\0${compressor}`;
}
