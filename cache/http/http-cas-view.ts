import { Digest } from '../../core/digest.ts';
import { invalidArgument } from '../../core/error.ts';
import { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobIngest } from '../blobs/blob-ingest.ts';
import type { BlobLookup } from '../blobs/blob-lookup.ts';
import type { InstanceStoresOf } from '../grpc/instance-stores.ts';
import {
  contentOf,
  type HttpContent,
  type HttpRead,
  type HttpView,
  type HttpWrite,
} from './http-exchange.ts';

/** What the /cas view depends on. */
export interface HttpCasViewDependencies {
  readonly storesOf: InstanceStoresOf;
  readonly lookup: BlobLookup;
  readonly ingest: BlobIngest;
  readonly blobBytesMax: number;
}

const SHA256 = DigestFunction_Value.SHA256;
const EMPTY = Digest.ofBytes(new Uint8Array(), SHA256);

/** Blobs under /cas by their SHA-256. */
export class HttpCasView implements HttpView {
  readonly #dependencies: HttpCasViewDependencies;

  constructor(dependencies: HttpCasViewDependencies) {
    this.#dependencies = dependencies;
  }

  async size({ target, caller, signal }: HttpRead): Promise<number | undefined> {
    const { blobStore } = this.#dependencies.storesOf(target.instanceName, caller);
    const digest = await this.#find(target.hash);
    if (digest === undefined) return undefined;
    const [missing] = await blobStore.findMissing([digest], { signal });
    return missing === undefined ? digest.sizeBytes : undefined;
  }

  async get({ target, caller, signal }: HttpRead): Promise<HttpContent | undefined> {
    const { blobStore } = this.#dependencies.storesOf(target.instanceName, caller);
    const digest = await this.#find(target.hash);
    if (digest === undefined) return undefined;
    const source = await blobStore.read(digest, undefined, { signal });
    return source === undefined ? undefined : contentOf(digest, source);
  }

  async put({ target, caller, contentBytes, body, signal }: HttpWrite): Promise<void> {
    const { storesOf, ingest, blobBytesMax } = this.#dependencies;
    const { blobStore } = storesOf(target.instanceName, caller);
    if (contentBytes !== undefined) {
      await blobStore.write(Digest.of(target.hash, contentBytes, SHA256), body, { signal });
      return;
    }
    if (target.hash === EMPTY.hash) throw invalidArgument('the empty blob was sent without a length');
    await ingest.ingest(body, {
      digestFunction: SHA256,
      bytesMax: blobBytesMax,
      hash: target.hash,
      signal,
    });
  }

  async #find(hash: string): Promise<Digest | undefined> {
    if (hash === EMPTY.hash) return EMPTY;
    return this.#dependencies.lookup.find({ hash, digestFunction: SHA256 });
  }
}
