import { delay, linkedAbort, untilAborted } from '../../core/abort.ts';
import { cancelled, isIngotError, unavailable } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Logger } from '../../core/log/logger.ts';
import { type RetryPolicy, retryDelayMs } from '../../core/rpc/rpc-retry-policy.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { LevelRecords } from '../actions/level-records.ts';
import type { ObjectSource, ObjectStore } from './object-store.ts';
import { decodeUpload, encodeUpload, type PendingUpload, uploadKey } from './pending-upload.ts';
import type { TierNumbers } from './tier-numbers.ts';
import { UploadRoom, type UploadRoomLimits } from './upload-room.ts';

/** Until the object store is back: a pending upload is never given up. */
const RETRY: RetryPolicy = {
  attemptsMax: Number.POSITIVE_INFINITY,
  firstBackoffMs: 200,
  backoffMsMax: 30_000,
};
/** How often pending blobs are kept from eviction anew. One that was just written is in no danger for so long. */
const PIN_MS_MAX = 60_000;
/** Every record of the queue begins so. */
const RECORD_PREFIX = 'upload\0';

/** An upload as it is carried out. */
export interface UploadTask {
  readonly key: string;
  readonly source: ObjectSource;
  /** The object store has it. */
  onDone(): void;
}

/** What an {@link UploadQueue} depends on. */
export interface UploadQueueDependencies extends UploadRoomLimits {
  readonly store: ObjectStore;
  /** Where pending uploads are recorded; its own. */
  readonly records: LevelRecords;
  /** What to put where, or undefined when this node no longer has it. */
  taskOf(upload: PendingUpload, options: IoOptions): Promise<UploadTask | undefined>;
  /** Keeps these from eviction, and what it was given before no longer. */
  pin(uploads: Iterable<PendingUpload>): Promise<void>;
  /** How long that lasts. */
  readonly pinnedMs: number;
  readonly numbers: TierNumbers;
  readonly logger: Logger;
  /** Uploads under way at once. */
  readonly uploadsAtOnce: number;
  readonly random?: (() => number) | undefined;
}

interface Entry {
  readonly upload: PendingUpload;
  readonly bytes: number;
  readonly done: PromiseWithResolvers<void>;
  /** Resolves when it survives a restart. */
  recorded: Promise<void>;
  isRunning: boolean;
  /** Tries that failed. */
  failures: number;
  /** It was filed anew while it was under way: what went may be the old one. */
  again: boolean;
}

/**
 * What is still to go to the object store. An upload is recorded before `add` resolves, outlives restarts and is tried
 * until it succeeds. When the queue is full `reserve` waits: nothing is dropped. States: open, closing, closed.
 */
export class UploadQueue implements AsyncDisposable {
  readonly #dependencies: UploadQueueDependencies;
  readonly #room: UploadRoom;
  readonly #entries = new Map<string, Entry>();
  /** Keys that wait for a lane, in the order in which they came. */
  readonly #ready = new Set<string>();
  readonly #abort = linkedAbort();
  readonly #random: () => number;
  readonly #wakes = new Set<() => void>();
  #lanes: Promise<unknown> = Promise.resolve();

  private constructor(dependencies: UploadQueueDependencies) {
    this.#dependencies = dependencies;
    this.#room = new UploadRoom(dependencies);
    this.#random = dependencies.random ?? Math.random;
  }

  /** Takes up what an earlier process left, and begins to upload. */
  static async open(dependencies: UploadQueueDependencies): Promise<UploadQueue> {
    const queue = new UploadQueue(dependencies);
    await queue.#recall();
    await queue.#pin();
    const lanes = Array.from({ length: dependencies.uploadsAtOnce }, () => queue.#lane());
    queue.#lanes = Promise.all([...lanes, queue.#pinAgainAndAgain()]);
    return queue;
  }

  /** Uploads that are pending, and room held for some to come. */
  get uploads(): number {
    return this.#room.uploads;
  }

  get bytes(): number {
    return this.#room.bytes;
  }

  /** It will be uploaded as it is. */
  has(upload: PendingUpload): boolean {
    return this.#entries.has(uploadKey(upload));
  }

  /** Waits for room for so many bytes; hand it to `add`, or dispose of it. */
  async reserve(bytes: number, options: IoOptions = {}): Promise<Disposable & { readonly bytes: number }> {
    await this.#room.take(bytes, options);
    let isHeld = true;
    return {
      bytes,
      [Symbol.dispose]: () => {
        if (isHeld) this.#room.free(bytes);
        isHeld = false;
      },
    };
  }

  /** Records the upload, of which this node has the bytes; resolves when that survives a restart. */
  add(upload: PendingUpload, bytes: number): Promise<void> {
    const key = uploadKey(upload);
    const known = this.#entries.get(key);
    if (known !== undefined) {
      known.again ||= known.isRunning && upload.kind === 'result';
      return known.recorded;
    }
    // It counts from now on, so that what is reserved for it can be given back.
    this.#room.occupy(bytes);
    const entry = this.#enter(upload, bytes);
    entry.recorded = this.#record(key, entry);
    return entry.recorded;
  }

  /** Waits until the object store has it; at once when it is not pending. UNAVAILABLE after `timeoutMs`. */
  async uploaded(upload: PendingUpload, timeoutMs: number, { signal }: IoOptions = {}): Promise<void> {
    const entry = this.#entries.get(uploadKey(upload));
    if (entry === undefined) return;
    const timeoutError = unavailable(
      `Write ${upload.digest}: kept here, but the object store has not taken it within ${timeoutMs} ms`,
      { details: [retryInfo(timeoutMs)] },
    );
    using abort = linkedAbort(signal, { timeoutMs, timeoutError });
    await untilAborted(entry.done.promise, abort.signal);
  }

  /** Ends what is under way; it is taken up again at the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(cancelled('the cache is closing'));
    for (const wake of this.#wakes) wake();
    await this.#lanes;
  }

  async #recall(): Promise<void> {
    const { records, logger } = this.#dependencies;
    for await (const key of records.keys(RECORD_PREFIX)) {
      const value = await records.get(key);
      if (value === undefined) continue;
      try {
        const upload = decodeUpload(value);
        const bytes = bytesOfUpload(upload);
        this.#room.occupy(bytes);
        this.#enter(upload, bytes);
        this.#ready.add(uploadKey(upload));
      } catch (error) {
        logger.error({ key, error }, 'a record is no upload, and is dropped');
        await records.drop(key, value);
      }
    }
    if (this.#entries.size > 0) {
      logger.info({ uploads: this.#entries.size }, 'uploads of an earlier process are taken up');
    }
  }

  #enter(upload: PendingUpload, bytes: number): Entry {
    const done = Promise.withResolvers<void>();
    const recorded = Promise.resolve();
    const entry = { upload, bytes, done, recorded, isRunning: false, failures: 0, again: false };
    this.#entries.set(uploadKey(upload), entry);
    return entry;
  }

  async #record(key: string, { upload, bytes }: Entry): Promise<void> {
    try {
      await this.#dependencies.records.put(RECORD_PREFIX + key, encodeUpload(upload));
    } catch (error) {
      this.#entries.delete(key);
      this.#room.free(bytes);
      throw error;
    }
    this.#makeReady(key);
  }

  #makeReady(key: string): void {
    this.#ready.add(key);
    const [wake] = this.#wakes;
    wake?.();
  }

  async #pin(): Promise<void> {
    try {
      await this.#dependencies.pin([...this.#entries.values()].map(({ upload }) => upload));
    } catch (error) {
      this.#dependencies.logger.error({ error }, 'pending uploads could not be kept from eviction');
    }
  }

  /** Until it closes; never rejects. */
  async #pinAgainAndAgain(): Promise<void> {
    const { signal } = this.#abort;
    const everyMs = Math.min(PIN_MS_MAX, this.#dependencies.pinnedMs / 4);
    while (!signal.aborted) {
      await delay(everyMs, { signal }).catch(() => {
        // The queue is closing, which the loop sees for itself.
      });
      if (!signal.aborted) await this.#pin();
    }
  }

  /** Carries out one upload after another; never rejects. */
  async #lane(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const [key] = this.#ready;
      const entry = key === undefined ? undefined : this.#entries.get(key);
      if (key === undefined || entry === undefined) {
        await this.#somethingReady();
        continue;
      }
      this.#ready.delete(key);
      await this.#try(key, entry);
    }
  }

  async #somethingReady(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wakes.add(resolve);
    await promise;
    this.#wakes.delete(resolve);
  }

  /** One try. After a failure it goes to the end of the line, so that one that always fails holds up no lane. */
  async #try(key: string, entry: Entry): Promise<void> {
    const { signal } = this.#abort;
    entry.isRunning = true;
    try {
      await this.#upload(entry.upload);
      if (entry.again) this.#ready.add(key);
      else await this.#finish(key, entry);
    } catch (error) {
      if (signal.aborted) return;
      await this.#afterFailure(entry, error);
      this.#ready.add(key);
    } finally {
      entry.isRunning = false;
      entry.again = false;
    }
  }

  /** The lane waits as well: what one upload meets the next one would. */
  async #afterFailure(entry: Entry, error: unknown): Promise<void> {
    const { numbers, logger } = this.#dependencies;
    entry.failures += 1;
    numbers.retried += 1;
    const fields = { digest: entry.upload.digest.toString(), failures: entry.failures, error };
    logger.debug(fields, 'an upload failed and is tried again');
    const known = isIngotError(error, Code.UNAVAILABLE)
      ? error
      : unavailable('the upload failed', { cause: error });
    const waitMs = retryDelayMs(RETRY, entry.failures, { error: known, random: this.#random }) ?? 0;
    await delay(waitMs, this.#abort).catch(() => {
      // The queue is closing, which the lane sees for itself.
    });
  }

  async #upload(upload: PendingUpload): Promise<void> {
    const { store, numbers, logger, taskOf } = this.#dependencies;
    const { signal } = this.#abort;
    const task = await taskOf(upload, { signal });
    if (task === undefined) {
      numbers.lost += 1;
      const fields = { kind: upload.kind, digest: upload.digest.toString() };
      logger.warn(fields, 'an upload is given up: it is no longer here');
      return;
    }
    await store.put(task.key, task.source, { signal });
    task.onDone();
    numbers.uploaded += 1;
    numbers.uploadedBytes += task.source.sizeBytes;
  }

  async #finish(key: string, entry: Entry): Promise<void> {
    this.#entries.delete(key);
    this.#room.free(entry.bytes);
    entry.done.resolve();
    await this.#dependencies.records.drop(RECORD_PREFIX + key, encodeUpload(entry.upload));
  }
}

/** What an upload takes of the queue's room: a result is small, whatever its action's size. */
export function bytesOfUpload({ kind, digest }: PendingUpload): number {
  return kind === 'blob' ? digest.sizeBytes : 0;
}
