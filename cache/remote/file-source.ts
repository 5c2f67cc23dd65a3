import { open } from 'node:fs/promises';
import type { RestartableSource } from './restartable-source.ts';

/** Bytes of one chunk. */
const CHUNK_BYTES = 128 * 1024;

/** The bytes of a file, opened when they are read. Give it to `BlobStore.write` so that an upload can be resumed. */
export class FileSource implements RestartableSource {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async *restart(offset: number): AsyncGenerator<Uint8Array, void, undefined> {
    await using handle = await open(this.#path, 'r');
    let position = offset;
    for (;;) {
      const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
      const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, position);
      if (bytesRead === 0) return;
      position += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    return this.restart(0);
  }
}
