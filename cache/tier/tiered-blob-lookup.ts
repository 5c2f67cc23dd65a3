import type { Digest } from '../../core/digest.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { BlobHash, BlobLookup } from '../blobs/blob-lookup.ts';
import type { BlobTier } from './blob-tier.ts';

/** What a {@link TieredBlobLookup} depends on. */
export interface TieredBlobLookupDependencies {
  readonly inner: BlobLookup;
  readonly instanceName: string;
  readonly tier: BlobTier;
}

/** Finds the size of a blob here, or else in the object store: for HTTP clients, who name it by hash alone. */
export class TieredBlobLookup implements BlobLookup {
  readonly #dependencies: TieredBlobLookupDependencies;

  constructor(dependencies: TieredBlobLookupDependencies) {
    this.#dependencies = dependencies;
  }

  async find(blob: BlobHash, options?: IoOptions): Promise<Digest | undefined> {
    const { inner, instanceName, tier } = this.#dependencies;
    return (await inner.find(blob, options)) ?? (await tier.find(instanceName, blob, options));
  }
}
