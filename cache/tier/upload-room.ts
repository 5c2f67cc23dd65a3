import { untilAborted } from '../../core/abort.ts';
import type { IoOptions } from '../../core/io-options.ts';

/** How much may wait to be uploaded. */
export interface UploadRoomLimits {
  readonly uploadsMax: number;
  readonly bytesMax: number;
}

/**
 * Room in the upload queue, given out first come, first served. An upload that is larger than all of it is let in when
 * nothing else is there. What is beyond the limits after a restart is there all the same, and lets nothing in.
 */
export class UploadRoom {
  readonly #limits: UploadRoomLimits;
  readonly #waiting = new Set<{ readonly bytes: number; readonly grant: () => void }>();
  #uploads = 0;
  #bytes = 0;

  constructor(limits: UploadRoomLimits) {
    this.#limits = limits;
  }

  get uploads(): number {
    return this.#uploads;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Waits until there is room and takes it; give it back with `free`. */
  async take(bytes: number, { signal }: IoOptions = {}): Promise<void> {
    if (this.#waiting.size === 0 && this.#fits(bytes)) {
      this.occupy(bytes);
      return;
    }
    const granted = Promise.withResolvers<void>();
    const waiter = { bytes, grant: granted.resolve };
    this.#waiting.add(waiter);
    try {
      await untilAborted(granted.promise, signal);
    } catch (error) {
      // Granted in the turn in which the signal aborted: nobody would give it back.
      if (!this.#waiting.delete(waiter)) this.free(bytes);
      else this.#grant();
      throw error;
    }
  }

  /** Takes room whether there is some or not. */
  occupy(bytes: number): void {
    this.#uploads += 1;
    this.#bytes += bytes;
  }

  free(bytes: number): void {
    this.#uploads -= 1;
    this.#bytes -= bytes;
    this.#grant();
  }

  #grant(): void {
    for (const waiter of this.#waiting) {
      if (!this.#fits(waiter.bytes)) return;
      this.#waiting.delete(waiter);
      this.occupy(waiter.bytes);
      waiter.grant();
    }
  }

  #fits(bytes: number): boolean {
    const { uploadsMax, bytesMax } = this.#limits;
    return this.#uploads === 0 || (this.#uploads < uploadsMax && this.#bytes + bytes <= bytesMax);
  }
}
