import type { Digest } from '../../core/digest.ts';
import type { BlobStore } from '../blob-store.ts';
import type { PendingUpload } from './pending-upload.ts';

/** A lease is begun anew this often in the time it lasts, so that what was uploaded meanwhile is let go. */
const RENEWALS = 2;

/** What {@link UploadPins} depend on. */
export interface UploadPinsDependencies {
  localBlobs(instanceName: string): BlobStore;
  /** How long an invocation keeps what it used from eviction, after its last call. */
  readonly leaseMs: number;
  /** Milliseconds that never go back. */
  readonly now?: () => number;
}

/**
 * Keeps blobs from eviction while their upload is pending, by using them in the name of an invocation of our own. To be
 * renewed several times in the time a lease lasts; a blob that no renewal names is let go one and a half such times on.
 */
export class UploadPins {
  readonly #dependencies: UploadPinsDependencies;
  readonly #now: () => number;

  constructor(dependencies: UploadPinsDependencies) {
    this.#dependencies = dependencies;
    this.#now = dependencies.now ?? (() => performance.now());
  }

  /** Holds the blobs of these uploads, and those only, from now on. */
  async renew(uploads: Iterable<PendingUpload>): Promise<void> {
    const { localBlobs, leaseMs } = this.#dependencies;
    const byInstance = new Map<string, Digest[]>();
    for (const { kind, instanceName, digest } of uploads) {
      if (kind !== 'blob') continue;
      const digests = byInstance.get(instanceName) ?? [];
      digests.push(digest);
      byInstance.set(instanceName, digests);
    }
    // No client can have the name: theirs come in headers, which have no NUL.
    const invocationId = `\0tier ${Math.floor((this.#now() * RENEWALS) / leaseMs)}`;
    for (const [instanceName, digests] of byInstance) {
      await localBlobs(instanceName).findMissing(digests, { invocationId });
    }
  }
}
