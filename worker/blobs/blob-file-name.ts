import { Digest, digestFunctions } from '../../core/digest.ts';

/** What one file of the worker's blob cache holds. Two files hold one blob when some actions execute it. */
export interface BlobFile {
  readonly digest: Digest;
  readonly executable: boolean;
}

/** Digits of the hash that name the folder: 256 folders. */
const FOLDER_DIGITS = 2;
const NAME = /^([0-9]+)-([0-9a-f]+)-([0-9]+)(x?)$/;

/** Path below the cache's folder: `ab/1-abcd…-1234`, with `x` at its end when executable. */
export function blobFileName({ digest, executable }: BlobFile): string {
  const { hash, sizeBytes, digestFunction } = digest;
  return `${hash.slice(0, FOLDER_DIGITS)}/${digestFunction}-${hash}-${sizeBytes}${executable ? 'x' : ''}`;
}

/** The other way round; undefined for a file that is none of ours. */
export function parseBlobFileName(name: string): BlobFile | undefined {
  const [, value, hash = '', size, x] = NAME.exec(name) ?? [];
  const digestFunction = digestFunctions.find((known) => String(known) === value);
  if (digestFunction === undefined) return undefined;
  try {
    return { digest: Digest.of(hash, Number(size), digestFunction), executable: x === 'x' };
  } catch {
    // A name no digest could have: not written by us.
    return undefined;
  }
}
