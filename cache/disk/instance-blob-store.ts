import type { Digest } from '../../core/digest.ts';
import type {
  BlobOptions,
  BlobStore,
  ByteRange,
  ReadOutcome,
  WholeBlob,
  WriteAllOptions,
  WriteOutcome,
} from '../blob-store.ts';
import type { BlobIngest, IngestOptions } from '../blobs/blob-ingest.ts';
import type { BlobHash, BlobLookup } from '../blobs/blob-lookup.ts';
import type { DiskBlobStore } from './disk-blob-store.ts';
import type { InstanceTable } from './instance-table.ts';

/** A disk blob store as one instance sees it. A name under which nothing was stored costs nothing until something is. */
export class InstanceBlobStore implements BlobStore, BlobLookup, BlobIngest {
  readonly #store: DiskBlobStore;
  readonly #instances: InstanceTable;
  readonly #name: string;
  #number: number | undefined;

  constructor(store: DiskBlobStore, instances: InstanceTable, name: string) {
    this.#store = store;
    this.#instances = instances;
    this.#name = name;
  }

  async findMissing(digests: readonly Digest[], options?: BlobOptions): Promise<Digest[]> {
    return this.#store.findMissing(this.#known(), digests, options);
  }

  async find(blob: BlobHash): Promise<Digest | undefined> {
    return this.#store.find(this.#known(), blob);
  }

  read(
    digest: Digest,
    range?: ByteRange,
    options?: BlobOptions,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    return this.#store.read(this.#known(), digest, range, options);
  }

  readAll(digests: readonly Digest[], options?: BlobOptions): Promise<readonly ReadOutcome[]> {
    return this.#store.readAll(this.#known(), digests, options);
  }

  write(digest: Digest, source: AsyncIterable<Uint8Array>, options?: BlobOptions): Promise<void> {
    const known = this.#known();
    if (known !== undefined) return this.#store.write(known, digest, source, options);
    return this.#instances
      .numberFor(this.#name)
      .then((number) => this.#store.write(number, digest, source, options));
  }

  async writeAll(blobs: readonly WholeBlob[], options?: WriteAllOptions): Promise<readonly WriteOutcome[]> {
    const number = this.#known() ?? (await this.#instances.numberFor(this.#name));
    return this.#store.writeAll(number, blobs, options);
  }

  async ingest(source: AsyncIterable<Uint8Array>, options: IngestOptions): Promise<Digest> {
    const number = this.#known() ?? (await this.#instances.numberFor(this.#name));
    return this.#store.ingest(number, source, options);
  }

  /** The number, or undefined while nothing was stored under the name. */
  #known(): number | undefined {
    this.#number ??= this.#instances.numberOf(this.#name);
    return this.#number;
  }
}
