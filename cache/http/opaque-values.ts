import { Digest } from '../../core/digest.ts';
import { bytesOf } from '../../core/streams.ts';
import { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { OpaqueEntries, OpaqueListed } from '../actions/opaque-entries.ts';
import type { BlobIngest } from '../blobs/blob-ingest.ts';
import type { InstanceStoresOf } from '../grpc/instance-stores.ts';
import type { BodyHead } from './body-head.ts';
import { findBlob } from './find-blob.ts';
import type { HttpContent, HttpRead } from './http-exchange.ts';

/** What {@link OpaqueValues} depend on. */
export interface OpaqueValuesDependencies {
  readonly storesOf: InstanceStoresOf;
  readonly entries: OpaqueEntries;
  readonly ingestOf: (instanceName: string) => BlobIngest;
  readonly blobBytesMax: number;
}

const SHA256 = DigestFunction_Value.SHA256;

/** Values of a client's own under names of its own: the bytes are blobs, the entries say which. */
export class OpaqueValues {
  readonly #dependencies: OpaqueValuesDependencies;

  constructor(dependencies: OpaqueValuesDependencies) {
    this.#dependencies = dependencies;
  }

  /** The value; an entry whose blob is gone is dropped. */
  async find({ target, caller, signal }: HttpRead): Promise<HttpContent | undefined> {
    const { storesOf, entries } = this.#dependencies;
    const { blobStore } = storesOf(target.instanceName, caller);
    const digest = await entries.get(target);
    if (digest === undefined) return undefined;
    const content = await findBlob(blobStore, digest, { signal });
    if (content === undefined) await entries.drop(target, digest);
    return content;
  }

  /** Stores an upload in place of an older value; resolves when both blob and entry are durable. */
  async put(read: HttpRead, head: BodyHead): Promise<void> {
    await this.#dependencies.entries.put(read.target, await this.#store(read, head));
  }

  /** Which blob the value is now, whether or not that is there. */
  async digestOf({ target }: HttpRead): Promise<Digest | undefined> {
    return this.#dependencies.entries.get(target);
  }

  /** Forgets the value, unless it is another by now. The blob stays until it is evicted. */
  async drop({ target }: HttpRead, digest: Digest): Promise<void> {
    await this.#dependencies.entries.drop(target, digest);
  }

  /** What is right below a folder. */
  list({ target }: HttpRead): AsyncIterable<OpaqueListed> {
    return this.#dependencies.entries.list(target);
  }

  async #store({ target, caller, signal }: HttpRead, head: BodyHead): Promise<Digest> {
    const { storesOf, ingestOf, blobBytesMax } = this.#dependencies;
    const { whole } = head;
    if (whole === undefined) {
      const ingest = ingestOf(target.instanceName);
      return ingest.ingest(head.source(), { digestFunction: SHA256, bytesMax: blobBytesMax, signal });
    }
    const digest = Digest.ofBytes(whole, SHA256);
    await storesOf(target.instanceName, caller).blobStore.write(digest, bytesOf(whole), { signal });
    return digest;
  }
}
