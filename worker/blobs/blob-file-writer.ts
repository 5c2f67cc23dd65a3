import { randomUUID } from 'node:crypto';
import { chmodSync, constants, copyFileSync, mkdirSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { verifiedBytes } from '../../cache/blobs/verified-bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { systemError } from '../launcher/system-error.ts';
import { type BlobFile, blobFileName } from './blob-file-name.ts';

/** All inputs have this time, 2000-01-01, so that no action can tell when a blob came to its worker. */
const INPUT_TIME_S = 946_684_800;

/** Puts blobs into the cache's folder: staged, verified, made read-only, and only then under their names. */
export class BlobFileWriter {
  readonly #folder: string;
  readonly #incoming: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#incoming = join(folder, 'incoming');
  }

  /** Empties the staging folder of what an earlier process left. */
  prepare(): void {
    rmSync(this.#incoming, { recursive: true, force: true });
    mkdirSync(this.#incoming, { recursive: true });
  }

  /** DATA_LOSS when the bytes are not the digest's; INTERNAL when this disk fails. */
  async write(file: BlobFile, source: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#stage(file, (path) => writeVerified(path, file.digest, source));
  }

  /** Makes the executable file from the plain one or the other way round. */
  async copy(from: BlobFile, to: BlobFile): Promise<void> {
    const source = join(this.#folder, blobFileName(from));
    await this.#stage(to, async (path) => copyFileSync(source, path, constants.COPYFILE_FICLONE));
  }

  async #stage(file: BlobFile, write: (path: string) => Promise<void>): Promise<void> {
    const staged = join(this.#incoming, randomUUID());
    const final = join(this.#folder, blobFileName(file));
    try {
      await write(staged);
      chmodSync(staged, file.executable ? 0o555 : 0o444);
      utimesSync(staged, INPUT_TIME_S, INPUT_TIME_S);
      mkdirSync(dirname(final), { recursive: true });
      renameSync(staged, final);
    } catch (error) {
      rmSync(staged, { force: true });
      throw systemError(error, `store blob ${file.digest} for an action`);
    }
  }
}

async function writeVerified(path: string, digest: Digest, source: AsyncIterable<Uint8Array>): Promise<void> {
  await using handle = await open(path, 'wx', 0o600);
  for await (const chunk of verifiedBytes(digest, source)) await handle.writeFile(chunk);
}
