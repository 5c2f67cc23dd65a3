import { open, readdir, readFile, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';

/** So much of a blob's beginning tells it from all others. */
const MARK_BYTES = 64;

/** Where a blob lies on disk. */
export interface BlobPlace {
  readonly path: string;
  /** Of its first byte in the file. */
  readonly offset: number;
}

/** Every place below the folder where bytes that begin so are kept, whatever the layout. */
export async function placesOf(folder: string, blob: Uint8Array): Promise<BlobPlace[]> {
  const mark = blob.subarray(0, MARK_BYTES);
  const places: BlobPlace[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const offset = (await readFile(path)).indexOf(mark);
    if (offset !== -1) places.push({ path, offset });
  }
  return places;
}

/** Turns one bit of a blob over, `at` bytes behind its beginning, as a disk that rots does. */
export async function flipBit({ path, offset }: BlobPlace, at: number): Promise<void> {
  await using file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, offset + at);
  byte[0] = (byte[0] ?? 0) ^ 0x10;
  await file.write(byte, 0, 1, offset + at);
}

/** Cuts the file off in the midst of a blob, and whatever follows it. */
export async function cutOff({ path, offset }: BlobPlace, keptBytes: number): Promise<void> {
  if ((await stat(path)).size <= offset + keptBytes) throw new Error(`${path} is shorter than that already`);
  await truncate(path, offset + keptBytes);
}
