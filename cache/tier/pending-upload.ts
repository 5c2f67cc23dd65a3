import { Digest } from '../../core/digest.ts';

/** Something that this node has and the object store is still to get: a blob, or the result of an action. */
export interface PendingUpload {
  readonly kind: 'blob' | 'result';
  readonly instanceName: string;
  /** The blob's digest, or the action's. */
  readonly digest: Digest;
}

/** Equal for uploads of the same thing. */
export function uploadKey({ kind, instanceName, digest }: PendingUpload): string {
  return `${kind}\0${digest.key}\0${instanceName}`;
}

/** As it is recorded. */
export function encodeUpload({ kind, instanceName, digest }: PendingUpload): Buffer {
  const { digestFunction, hash, sizeBytes } = digest;
  return Buffer.from(JSON.stringify({ kind, instanceName, digestFunction, hash, sizeBytes }));
}

/** From a record; throws what parsing throws when it is none. */
export function decodeUpload(bytes: Uint8Array): PendingUpload {
  const { kind, instanceName, digestFunction, hash, sizeBytes } = JSON.parse(Buffer.from(bytes).toString());
  if ((kind !== 'blob' && kind !== 'result') || typeof instanceName !== 'string') {
    throw new TypeError('the record is no upload');
  }
  return { kind, instanceName, digest: Digest.of(hash, sizeBytes, digestFunction) };
}
