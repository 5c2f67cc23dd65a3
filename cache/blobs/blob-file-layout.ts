import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestFunctions } from '../../core/digest.ts';
import { systemCodeOf } from '../../core/file-error.ts';
import {
  type DigestFunction_Value,
  digestFunction_ValueToJSON,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/** Two hex digits: with a million blobs 4,000 files a folder, which no file system minds. */
const FAN_OUT_DIGITS = 2;

/**
 * Where BlobFiles keep things below the store's folder, and nothing else knows:
 * `cas-v1/{function}/{two digits}/{hash}` for blobs, `incoming/` for uploads under way, `quarantine/` for damaged
 * blobs. A change of layout changes the version in the name. The hash alone names a file: its length is its size.
 */
export class BlobFileLayout {
  readonly blobsFolder: string;
  readonly incomingFolder: string;
  readonly quarantineFolder: string;

  constructor(folder: string) {
    this.blobsFolder = join(folder, 'cas-v1');
    this.incomingFolder = join(folder, 'incoming');
    this.quarantineFolder = join(folder, 'quarantine');
  }

  /** Every folder that holds blobs; they are made as blobs come. */
  async fanOutFolders(): Promise<string[]> {
    const folders: string[] = [];
    for (const digestFunction of digestFunctions) {
      const folder = this.#functionFolder(digestFunction);
      for (const name of await namesIn(folder)) folders.push(join(folder, name));
    }
    return folders;
  }

  blobFolder({ hash, digestFunction }: BlobName): string {
    return join(this.#functionFolder(digestFunction), hash.slice(0, FAN_OUT_DIGITS));
  }

  blobPath(name: BlobName): string {
    return join(this.blobFolder(name), name.hash);
  }

  #functionFolder(digestFunction: DigestFunction_Value): string {
    return join(this.blobsFolder, digestFunction_ValueToJSON(digestFunction).toLowerCase());
  }
}

/** The part of a digest that names a file. */
export type BlobName = Pick<Digest, 'hash' | 'digestFunction'>;

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
}
