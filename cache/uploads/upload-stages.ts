import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { mapConcurrent } from '../../core/concurrency.ts';
import type { Digest } from '../../core/digest.ts';
import { DirectorySync } from '../../core/directory-sync.ts';
import { fileError } from '../../core/file-error.ts';
import type { Logger } from '../../core/log/logger.ts';
import { startTimer } from '../../core/timer.ts';
import { parseJournal } from './upload-journal.ts';
import { UploadStage } from './upload-stage.ts';

const JOURNAL = '.journal';
const BYTES = '.bytes';
/** Journals read at once at start. */
const READS_AT_ONCE = 8;

/** What uploads may leave for the next process. */
export interface UploadStagesLimits {
  /** How long after the last sync an upload may still be resumed. */
  readonly ttlMs: number;
  /** Bytes of all of them; beyond it those go that were written to longest ago. */
  readonly bytesMax: number;
}

/** A client that comes back at all does so within its build; what WriteSessions keep of a running process is as much. */
export const defaultUploadStagesLimits: UploadStagesLimits = {
  ttlMs: 30 * 60_000,
  bytesMax: 8 * 1024 ** 3,
};

/** What {@link UploadStages} depend on. */
export interface UploadStagesDependencies {
  /** On the file system of the blobs; made when absent. One process at a time. */
  readonly folder: string;
  readonly logger: Logger;
  readonly limits?: UploadStagesLimits;
}

interface Adopted {
  readonly stage: UploadStage;
  readonly cancelTimer: () => void;
}

/** The files of large uploads under way, and those that an earlier process left and that may be resumed. */
export class UploadStages implements AsyncDisposable {
  readonly #folder: string;
  readonly #logger: Logger;
  readonly #limits: UploadStagesLimits;
  readonly #directories = new DirectorySync();
  /** Of an earlier process, by the uploads' names. */
  readonly #adopted = new Map<string, Adopted>();
  /** All that have a file, or may get one. */
  readonly #stages = new Set<UploadStage>();
  readonly #leaving = new Set<Promise<void>>();

  private constructor({ folder, logger, limits = defaultUploadStagesLimits }: UploadStagesDependencies) {
    this.#folder = folder;
    this.#logger = logger;
    this.#limits = limits;
  }

  /** Takes over what an earlier process left, and removes what cannot be resumed. */
  static async open(dependencies: UploadStagesDependencies): Promise<UploadStages> {
    const stages = new UploadStages(dependencies);
    try {
      await mkdir(dependencies.folder, { recursive: true });
      await stages.#adoptAll();
    } catch (error) {
      throw fileError(error, `Open uploads ${dependencies.folder}`);
    }
    return stages;
  }

  /** Bytes of uploads that wait to be resumed; for those under way the store has reserved room. */
  get waitingBytes(): number {
    let bytes = 0;
    for (const { stage } of this.#adopted.values()) bytes += stage.durableBytes;
    return bytes;
  }

  /** Bytes of all of them. */
  get storedBytes(): number {
    let bytes = 0;
    for (const { receivedBytes } of this.#stages) bytes += receivedBytes;
    return bytes;
  }

  /** How much there is of an upload that an earlier process left. */
  durableBytes(key: string): number | undefined {
    return this.#adopted.get(key)?.stage.durableBytes;
  }

  /** A stage for a stream that begins there: at 0 a new one, else the one that was left, if any. */
  take(key: string, digest: Digest, offset: number): UploadStage {
    const adopted = this.#adopted.get(key);
    adopted?.cancelTimer();
    this.#adopted.delete(key);
    if (adopted !== undefined && offset > 0) return adopted.stage;
    if (adopted !== undefined) this.leave(adopted.stage, { isKept: false });
    return this.#stage(randomUUID(), { key, digest, durableBytes: 0 });
  }

  /** Says that the upload is over; see UploadStage's `leave`. */
  leave(stage: UploadStage, options: { readonly isKept: boolean }): void {
    const leaving = stage
      .leave(options)
      .catch((error: unknown) => this.#logger.error({ error }, 'an upload could not be removed'))
      .finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }

  /** Leaves what is here for the next process. */
  async close(): Promise<void> {
    for (const { cancelTimer } of this.#adopted.values()) cancelTimer();
    this.#adopted.clear();
    await Promise.all(this.#leaving);
    await this.#directories.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #stage(id: string, of: { readonly key: string; readonly digest: Digest; readonly durableBytes: number }) {
    const stage: UploadStage = new UploadStage({
      ...of,
      path: join(this.#folder, id + BYTES),
      journalPath: join(this.#folder, id + JOURNAL),
      directories: this.#directories,
      onOver: () => this.#stages.delete(stage),
    });
    this.#stages.add(stage);
    return stage;
  }

  async #adoptAll(): Promise<void> {
    const names = await readdir(this.#folder);
    const ids = names.filter((name) => name.endsWith(JOURNAL)).map((name) => name.slice(0, -JOURNAL.length));
    const left = (await mapConcurrent(ids, READS_AT_ONCE, (id) => this.#readLeft(id))).filter(
      (found) => found !== undefined,
    );
    left.sort((a, b) => b.writtenMs - a.writtenMs);
    const kept = new Set<string>();
    let bytes = 0;
    for (const { id, journal, writtenMs } of left) {
      const remainingMs = writtenMs + this.#limits.ttlMs - Date.now();
      bytes += journal.durableBytes;
      if (remainingMs <= 0 || bytes > this.#limits.bytesMax || this.#adopted.has(journal.key)) continue;
      this.#adopt(id, journal, remainingMs);
      kept.add(id + JOURNAL).add(id + BYTES);
    }
    for (const name of names) if (!kept.has(name)) await rm(join(this.#folder, name), { force: true });
    if (kept.size > 0) this.#logger.info({ uploads: this.#adopted.size, bytes }, 'uploads may be resumed');
  }

  #adopt(id: string, journal: NonNullable<ReturnType<typeof parseJournal>>, remainingMs: number): void {
    const stage = this.#stage(id, journal);
    const cancelTimer = startTimer(remainingMs, () => {
      if (this.#adopted.delete(journal.key)) this.leave(stage, { isKept: false });
    });
    this.#adopted.set(journal.key, { stage, cancelTimer });
  }

  /** What can be resumed of an upload; undefined when that is nothing. */
  async #readLeft(id: string) {
    const path = join(this.#folder, id + JOURNAL);
    const journal = parseJournal(await readFile(path, 'utf8'));
    if (journal === undefined || journal.durableBytes === 0) return undefined;
    const { size } = await stat(join(this.#folder, id + BYTES)).catch(() => ({ size: 0 }));
    if (size < journal.durableBytes) return undefined;
    return { id, journal, writtenMs: (await stat(path)).mtimeMs };
  }
}
