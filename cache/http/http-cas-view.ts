import { Digest } from '../../core/digest.ts';
import { invalidArgument } from '../../core/error.ts';
import { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobIngest } from '../blobs/blob-ingest.ts';
import type { BlobLookup } from '../blobs/blob-lookup.ts';
import type { CompressedForms } from '../compression/compressed-forms.ts';
import { peekContentBytes } from '../compression/peek-content-bytes.ts';
import type { InstanceStoresOf } from '../grpc/instance-stores.ts';
import { findBlob } from './find-blob.ts';
import type { HttpContent, HttpPutStatus, HttpRead, HttpView, HttpWrite } from './http-exchange.ts';

/** What the /cas view depends on. */
export interface HttpCasViewDependencies {
  readonly storesOf: InstanceStoresOf;
  readonly lookupOf: (instanceName: string) => BlobLookup;
  readonly ingestOf: (instanceName: string) => BlobIngest;
  readonly blobBytesMax: number;
  readonly forms: CompressedForms;
}

const SHA256 = DigestFunction_Value.SHA256;
const EMPTY = Digest.ofBytes(new Uint8Array(), SHA256);

/** Blobs under /cas by their SHA-256. */
export class HttpCasView implements HttpView {
  readonly #dependencies: HttpCasViewDependencies;

  constructor(dependencies: HttpCasViewDependencies) {
    this.#dependencies = dependencies;
  }

  async find({ target, caller, signal }: HttpRead): Promise<HttpContent | undefined> {
    const { storesOf, lookupOf, forms } = this.#dependencies;
    const { blobStore } = storesOf(target.instanceName, caller);
    const hash = target.name;
    const digest =
      hash === EMPTY.hash
        ? EMPTY
        : await lookupOf(target.instanceName).find({ hash, digestFunction: SHA256 });
    const content = digest === undefined ? undefined : await findBlob(blobStore, digest, { signal });
    if (digest === undefined || content === undefined) return undefined;
    const openEncoded = () => forms.read({ digest, store: blobStore }, 0, { signal });
    return { ...content, openEncoded };
  }

  async put({ target, caller, contentBytes, body, encoding, signal }: HttpWrite): Promise<HttpPutStatus> {
    const { storesOf, ingestOf, forms, blobBytesMax } = this.#dependencies;
    const { blobStore } = storesOf(target.instanceName, caller);
    const hash = target.name;
    if (encoding === 'zstd') {
      const frame = await peekContentBytes(body, `Write ${hash}`);
      const digest = Digest.of(hash, frame.contentBytes, SHA256);
      await forms.write({ digest, store: blobStore }, frame.source, { signal });
      return 200;
    }
    if (contentBytes !== undefined) {
      await blobStore.write(Digest.of(hash, contentBytes, SHA256), body, { signal });
      return 200;
    }
    if (hash === EMPTY.hash) throw invalidArgument('the empty blob was sent without a length');
    const ingest = ingestOf(target.instanceName);
    await ingest.ingest(body, { digestFunction: SHA256, bytesMax: blobBytesMax, hash, signal });
    return 200;
  }
}
