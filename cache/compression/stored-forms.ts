import { Semaphore } from '../../core/concurrency.ts';
import type { Digest } from '../../core/digest.ts';
import { isIngotError, unavailable } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import type { Logger } from '../../core/log/logger.ts';
import { Compressor_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import type { BlobIngest } from '../blobs/blob-ingest.ts';
import type { CodecBudget } from './codec-budget.ts';
import { compressedBytes } from './compressed-bytes.ts';
import type { CompressedForms, EncodedBlob, StoredBlob } from './compressed-forms.ts';
import { decompressedBytes } from './decompressed-bytes.ts';
import { DigestWitness } from './digest-witness.ts';
import { FormDraft } from './form-draft.ts';
import { FORM_BLOB_BYTES_MIN, formBytesMax } from './form-limits.ts';
import type { FormRecord, FormRecords } from './form-records.ts';

/** Forms stored at once beside their sending or receiving; those of others are not kept this time. */
const DRAFTS_MAX = 16;
/** How long a client is asked to wait when the stored form turned out damaged: the next one is made from the blob. */
const RETRY_MS = 100;

/** What {@link StoredForms} depends on. */
export interface StoredFormsDependencies {
  readonly records: FormRecords;
  /** Where forms are kept: blobs of their own, under their own digests, which may be evicted any time. */
  readonly formStore: Pick<BlobStore, 'read'> & BlobIngest;
  readonly budget: CodecBudget;
  readonly logger: Logger;
}

/**
 * Forms that are made once: the first whole read compresses while it sends and keeps what it made, if it saves enough;
 * an upload that comes compressed brings its form with it. Later reads send the stored bytes. One form of a blob is
 * made at a time; who asks meanwhile gets the blob as it is. A form that is gone or damaged is made again.
 */
export class StoredForms implements CompressedForms, AsyncDisposable {
  readonly #dependencies: StoredFormsDependencies;
  readonly #drafts = new Semaphore(DRAFTS_MAX);
  /** Keys of blobs whose forms are being made. */
  readonly #underWay = new Set<string>();
  readonly #filing = new Set<Promise<void>>();

  constructor(dependencies: StoredFormsDependencies) {
    this.#dependencies = dependencies;
  }

  async read(blob: StoredBlob, offset: number, options: BlobOptions): Promise<EncodedBlob | undefined> {
    const { digest, store } = blob;
    const sizeBytes = digest.sizeBytes - offset;
    const isLarge = sizeBytes >= FORM_BLOB_BYTES_MIN;
    // Asked before the record is: one that is filed meanwhile would be missed by both.
    const wasUnderWay = this.#underWay.has(digest.key);
    const record = isLarge ? await this.#dependencies.records.get(digest) : undefined;
    if (record !== undefined && record !== 'incompressible' && offset === 0) {
      const [missing] = await store.findMissing([digest], options);
      if (missing !== undefined) return undefined;
      const form = await this.#dependencies.formStore.read(record, undefined, options);
      if (form !== undefined) {
        return {
          compressor: Compressor_Value.ZSTD,
          source: ofForm(digest, form),
          sizeBytes: record.sizeBytes,
        };
      }
    }
    const source = await store.read(digest, { offset }, options);
    if (source === undefined) return undefined;
    const identity = { compressor: Compressor_Value.IDENTITY, source, sizeBytes };
    if (!isLarge || record === 'incompressible' || wasUnderWay || this.#underWay.has(digest.key))
      return identity;
    const permit = this.#dependencies.budget.compressor();
    if (permit === undefined) return identity;
    const frame = compressedBytes(source, { sizeBytes, permit, signal: options.signal });
    const kept = offset === 0 ? this.#kept(digest, frame) : frame;
    return { compressor: Compressor_Value.ZSTD, source: kept, sizeBytes: undefined };
  }

  async write(blob: StoredBlob, frame: AsyncIterable<Uint8Array>, options: BlobOptions): Promise<void> {
    const { digest, store } = blob;
    const owner = { attempt: `Write ${digest}`, sizeBytes: digest.sizeBytes };
    const { budget } = this.#dependencies;
    const { signal } = options;
    using draft = this.#draft(digest);
    const witness = new DigestWitness(digest);
    const bytes = await decompressedBytes(draft?.follow(frame) ?? frame, { owner, budget, signal });
    await store.write(digest, draft === undefined ? bytes : witness.follow(bytes), options);
    if (witness.isMatch) draft?.finish();
  }

  /** Waits for the forms that are being filed. */
  async close(): Promise<void> {
    await Promise.all(this.#filing);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The form as it is made; kept when it is sent to its end, which says that the blob was right. */
  async *#kept(
    digest: Digest,
    frame: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    using draft = this.#draft(digest, 'incompressible');
    yield* draft?.follow(frame) ?? frame;
    draft?.finish();
  }

  /** Undefined when a form of the blob is being made, or too many of others. */
  #draft(digest: Digest, ifTooLarge?: FormRecord): FormDraft | undefined {
    const { key, sizeBytes } = digest;
    if (sizeBytes < FORM_BLOB_BYTES_MIN || this.#underWay.has(key)) return undefined;
    const permit = this.#drafts.acquireNow();
    if (permit === undefined) return undefined;
    this.#underWay.add(key);
    const draft = new FormDraft(this.#dependencies.formStore, formBytesMax(sizeBytes));
    const filing = this.#file(digest, draft, ifTooLarge).finally(() => {
      this.#filing.delete(filing);
      this.#underWay.delete(key);
      permit[Symbol.dispose]();
    });
    this.#filing.add(filing);
    return draft;
  }

  /** Never rejects: what is not filed is made again. */
  async #file(digest: Digest, draft: FormDraft, ifTooLarge: FormRecord | undefined): Promise<void> {
    const { records, logger } = this.#dependencies;
    const outcome = await draft.outcome;
    const record = outcome.isTooLarge ? ifTooLarge : outcome.digest;
    if (record === undefined) return;
    try {
      await records.put(digest, record);
    } catch (error) {
      logger.warn({ digest: digest.toString(), error }, 'a compressed form could not be filed');
    }
  }
}

/** A damaged form is gone when that shows; the blob behind it is not, so the client is asked to come again. */
async function* ofForm(
  digest: Digest,
  form: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* form;
  } catch (error) {
    if (!isIngotError(error, Code.DATA_LOSS)) throw error;
    throw unavailable(`Read ${digest}: its compressed form was damaged and is gone; try again`, {
      cause: error,
      details: [retryInfo(RETRY_MS)],
    });
  }
}
