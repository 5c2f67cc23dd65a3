import { createCipheriv } from 'node:crypto';
import { open } from 'node:fs/promises';

const PIECE_BYTES = 4 * 1024 * 1024;

/** Weights as they look to a cache: bytes without a pattern, the same each time for one seed. */
class Weights {
  readonly #cipher;

  constructor(seed: number) {
    this.#cipher = createCipheriv('aes-256-ctr', Buffer.alloc(32, `weights ${seed}`), Buffer.alloc(16));
  }

  take(sizeBytes: number): Buffer {
    return this.#cipher.update(Buffer.alloc(sizeBytes));
  }
}

/** A file of weights that the next epoch changes. */
export async function writeCheckpoint(path: string, sizeBytes: number, seed = 1): Promise<void> {
  const weights = new Weights(seed);
  const file = await open(path, 'w');
  try {
    for (let start = 0; start < sizeBytes; start += PIECE_BYTES) {
      await file.writeFile(weights.take(Math.min(PIECE_BYTES, sizeBytes - start)));
    }
  } finally {
    await file.close();
  }
}

/** What an epoch does to a checkpoint. */
export interface Epoch {
  /** Share of the bytes that change, from 0 to 1. */
  readonly changedShare: number;
  /** The changed bytes lie in so many stretches, spread evenly. */
  readonly regions: number;
  /** Bytes put in front of the whole, which shifts everything behind. */
  readonly insertedBytes?: number;
}

/** The checkpoint one epoch later: stretches have other bytes, and all may have moved. */
export async function writeNextEpoch(from: string, to: string, epoch: Epoch, seed = 2): Promise<void> {
  const { changedShare, regions, insertedBytes = 0 } = epoch;
  const weights = new Weights(seed);
  const source = await open(from, 'r');
  const target = await open(to, 'w');
  try {
    const { size } = await source.stat();
    const everyBytes = Math.floor(size / regions);
    const changedBytes = Math.floor((size * changedShare) / regions);
    await target.writeFile(weights.take(insertedBytes));
    for (let region = 0; region < regions; region += 1) {
      const start = region * everyBytes;
      const end = region === regions - 1 ? size : start + everyBytes;
      const changedStart = start + Math.floor((end - start - changedBytes) / 2);
      await copy(source, target, start, changedStart);
      for (let left = changedBytes; left > 0; left -= PIECE_BYTES) {
        await target.writeFile(weights.take(Math.min(PIECE_BYTES, left)));
      }
      await copy(source, target, changedStart + changedBytes, end);
    }
  } finally {
    await source.close();
    await target.close();
  }
}

type OpenFile = Awaited<ReturnType<typeof open>>;

async function copy(source: OpenFile, target: OpenFile, start: number, end: number): Promise<void> {
  for (let position = start; position < end; position += PIECE_BYTES) {
    const buffer = Buffer.alloc(Math.min(PIECE_BYTES, end - position));
    await source.read(buffer, 0, buffer.byteLength, position);
    await target.writeFile(buffer);
  }
}
