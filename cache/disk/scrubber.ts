import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { delay, linkedAbort } from '../../core/abort.ts';
import { isIngotError } from '../../core/error.ts';
import type { Logger } from '../../core/log/logger.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { DiskParts } from './disk-parts.ts';
import { checkFilesOf, checkSegment } from './stored-blob-checks.ts';

/** A pause between two looks at everything, and before the first, so that a start is not slowed. */
const PAUSE_MS = 60_000;
/** The rate is kept by pauses after so many milliseconds' worth of bytes. */
const SLICE_MS = 100;

/** What a {@link Scrubber} depends on. */
export interface ScrubberDependencies {
  readonly folder: string;
  readonly parts: DiskParts;
  readonly logger: Logger;
  readonly bytesPerSecond: number;
  /** Before the first round and between rounds. */
  readonly pauseMs?: number;
}

/** Where a scrub is: the segment, or fan-out folder of files, it has finished last. */
interface ScrubPosition {
  readonly segment: number;
  readonly folder: string;
}

const BEGINNING: ScrubPosition = { segment: 0, folder: '' };

/**
 * Reads all blobs again and again, at a gentle rate, and takes out those whose bytes are no longer theirs, so that a
 * blob nobody has read for long is not found damaged when it is needed. Where it was survives a restart.
 */
export class Scrubber implements AsyncDisposable {
  readonly #dependencies: ScrubberDependencies;
  readonly #stop = linkedAbort();
  readonly #running: Promise<void>;
  #position = BEGINNING;
  #owedMs = 0;
  /** Bytes read since start. */
  scrubbedBytes = 0;
  /** Looks at everything that were finished since start. */
  rounds = 0;

  constructor(dependencies: ScrubberDependencies) {
    this.#dependencies = dependencies;
    this.#running = this.#run();
  }

  /** Ends after the blob it is at. */
  async close(): Promise<void> {
    this.#stop[Symbol.dispose]();
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<void> {
    const { pauseMs = PAUSE_MS, logger } = this.#dependencies;
    const { signal } = this.#stop;
    try {
      this.#position = await this.#load();
      for (;;) {
        await delay(pauseMs, { signal });
        await this.#round();
        this.rounds += 1;
      }
    } catch (error) {
      if (!isIngotError(error, Code.CANCELLED)) logger.error({ error }, 'the scrub ended');
    }
  }

  async #round(): Promise<void> {
    const { parts } = this.#dependencies;
    const { log } = parts.segments;
    const options = { pace: (bytes: number) => this.#pace(bytes) };
    for (const segment of [...log.segments.values()]) {
      if (segment.number <= this.#position.segment || segment.number > log.lastSealed) continue;
      await checkSegment(parts, segment, options);
      await this.#save({ segment: segment.number, folder: '' });
    }
    for (const folder of (await parts.files.layout.fanOutFolders()).sort()) {
      if (folder <= this.#position.folder) continue;
      await checkFilesOf(parts, folder, options);
      await this.#save({ ...this.#position, folder });
    }
    await this.#save(BEGINNING);
  }

  /** Waits as long as these bytes may take. */
  async #pace(bytes: number): Promise<void> {
    this.scrubbedBytes += bytes;
    this.#owedMs += (bytes / this.#dependencies.bytesPerSecond) * 1000;
    if (this.#owedMs >= SLICE_MS) {
      const ms = this.#owedMs;
      this.#owedMs = 0;
      await delay(ms, { signal: this.#stop.signal });
    }
    if (this.#stop.signal.aborted) throw this.#stop.signal.reason;
  }

  get #path(): string {
    return join(this.#dependencies.folder, 'scrub-v1.json');
  }

  async #load(): Promise<ScrubPosition> {
    try {
      const { segment, folder } = JSON.parse(await readFile(this.#path, 'utf8'));
      return { segment: Number(segment) || 0, folder: String(folder) };
    } catch {
      // None yet, or one that cannot be read: from the beginning is never wrong.
      return BEGINNING;
    }
  }

  async #save(position: ScrubPosition): Promise<void> {
    this.#position = position;
    try {
      await writeFile(`${this.#path}.new`, JSON.stringify(position));
      await rename(`${this.#path}.new`, this.#path);
    } catch (error) {
      this.#dependencies.logger.warn({ error }, 'how far the scrub is could not be noted');
    }
  }
}
