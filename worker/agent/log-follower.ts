import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

/** How often a growing file is looked at: short enough to read along, long enough to cost nothing. */
const POLL_MS = 100;
const READ_CHUNK_BYTES = 64 * 1024;

export interface LogFollowerOptions {
  readonly path: string;
  /** Aborts when nothing writes to the file any more; what it has then is still read to its end. */
  readonly ended: AbortSignal;
  /** While it grows, no more than this is read; at the end the rest is, which by then is a notice. */
  readonly bytesMax: number;
}

/**
 * The bytes of a command's output file while it grows, ending some time after the command. A file that does not
 * appear, as when the command was never started, is an empty stream.
 */
export async function* followLog({ path, ended, bytesMax }: LogFollowerOptions): AsyncGenerator<Uint8Array> {
  let handle: FileHandle | undefined;
  let position = 0;
  try {
    for (;;) {
      // Looked at first: what is written before the end is then surely read below.
      const last = ended.aborted;
      handle ??= await openIfThere(path);
      for (;;) {
        const wanted = last ? READ_CHUNK_BYTES : Math.min(READ_CHUNK_BYTES, bytesMax - position);
        if (handle === undefined || wanted <= 0) break;
        const buffer = Buffer.allocUnsafe(wanted);
        const { bytesRead } = await handle.read(buffer, 0, wanted, position);
        if (bytesRead === 0) break;
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
      if (last) return;
      await pause(POLL_MS, undefined, { signal: ended }).catch(() => undefined);
    }
  } finally {
    await handle?.close();
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
