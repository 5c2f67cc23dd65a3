import { mapConcurrent, Semaphore } from '../../core/concurrency.ts';
import { Digest } from '../../core/digest.ts';
import { type IngotError, isIngotError, unavailable } from '../../core/error.ts';
import { retryInfo } from '../../core/error-details.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { Logger } from '../../core/log/logger.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { BlobHash } from '../blobs/blob-lookup.ts';
import { verifiedBytes } from '../blobs/verified-bytes.ts';
import { ExpiringKeys } from './expiring-keys.ts';
import { downloadObject } from './object-download.ts';
import type { ObjectNames } from './object-names.ts';
import type { ObjectStore } from './object-store.ts';
import type { TierNumbers } from './tier-numbers.ts';

/** Questions under way at once over all calls: at 20 ms each, 3,200 a second. S3 has no way to ask for many. */
const HEADS_AT_ONCE = 64;
/** Objects whose existence is remembered: about 150 bytes each. */
const REMEMBERED_MAX = 200_000;
/** Damaged objects that are remembered; one forgotten is found out again when it is read. */
const DAMAGED_MAX = 10_000;
/** When a client may ask again for what the object store has and does not give. */
const ASK_AGAIN_MS = 2_000;

/** What a {@link BlobTier} depends on. */
export interface BlobTierDependencies {
  readonly store: ObjectStore;
  readonly names: ObjectNames;
  readonly numbers: TierNumbers;
  readonly logger: Logger;
  /** How long existence is remembered. */
  readonly rememberMs: number;
  readonly now?: (() => number) | undefined;
  readonly random?: (() => number) | undefined;
}

/**
 * The blobs of the object store, by instance. What does not answer counts as absent, but for a blob it is known to
 * hold. A damaged object is never given to its end, and is absent until it is written anew.
 */
export class BlobTier {
  readonly #dependencies: BlobTierDependencies;
  readonly #heads = new Semaphore(HEADS_AT_ONCE);
  readonly #present: ExpiringKeys;
  readonly #damaged: ExpiringKeys;

  constructor(dependencies: BlobTierDependencies) {
    this.#dependencies = dependencies;
    const { rememberMs: keptMs, now } = dependencies;
    const clock = now === undefined ? {} : { now };
    this.#present = new ExpiringKeys({ keptMs, keysMax: REMEMBERED_MAX, ...clock });
    this.#damaged = new ExpiringKeys({ keptMs, keysMax: DAMAGED_MAX, ...clock });
  }

  /** Known to be there, without asking. */
  isRemembered(instanceName: string, digest: Digest): boolean {
    return this.#present.has(this.#keyOf(instanceName, digest));
  }

  /** Those of the digests that the object store does not have, or does not answer for. */
  async findMissing(
    instanceName: string,
    digests: readonly Digest[],
    options: IoOptions = {},
  ): Promise<Digest[]> {
    const present = await mapConcurrent(
      digests,
      HEADS_AT_ONCE,
      (digest, signal) => this.#has(instanceName, digest, signal),
      options,
    );
    return digests.filter((_, index) => !present[index]);
  }

  /** The digest of an object whose size nobody said, or undefined. */
  async find(instanceName: string, blob: BlobHash, { signal }: IoOptions = {}): Promise<Digest | undefined> {
    const sizeBytes = await this.#sizeOf(this.#dependencies.names.blob(instanceName, blob), signal);
    if (sizeBytes === undefined || sizeBytes === 0) return undefined;
    const digest = Digest.of(blob.hash, sizeBytes, blob.digestFunction);
    if (this.#damaged.has(this.#keyOf(instanceName, digest))) return undefined;
    this.remember(instanceName, digest);
    return digest;
  }

  /** The blob's verified bytes from the beginning, or undefined; DATA_LOSS before the last chunk of a damaged one. */
  async open(
    instanceName: string,
    digest: Digest,
    { signal }: IoOptions = {},
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const { store, names, numbers, random = Math.random } = this.#dependencies;
    const memory = this.#keyOf(instanceName, digest);
    if (this.#damaged.has(memory)) return undefined;
    const key = names.blob(instanceName, digest);
    try {
      const body = await store.get(key, { signal });
      if (body?.sizeBytes !== digest.sizeBytes) {
        // Gone since it was remembered, cut short, or asked for with a wrong size: all the same to who asks.
        this.#present.delete(memory);
        body?.close();
        return undefined;
      }
      const bytes = downloadObject({ store, key, body, random, signal });
      return verifiedBytes(digest, this.#counted(bytes, digest), () => {
        numbers.damaged += 1;
        this.#present.delete(memory);
        this.#damaged.add(memory);
        this.#dependencies.logger.error(
          { blob: digest.toString(), key },
          'an object is not what its name says',
        );
      });
    } catch (error) {
      return this.#unanswered(error, `Read ${digest}`, { isKnown: this.#present.has(memory), signal });
    }
  }

  /** It is there and right: it was just written, or just seen. */
  remember(instanceName: string, digest: Digest): void {
    const memory = this.#keyOf(instanceName, digest);
    this.#damaged.delete(memory);
    this.#present.add(memory);
  }

  async #has(instanceName: string, digest: Digest, signal: AbortSignal): Promise<boolean> {
    const memory = this.#keyOf(instanceName, digest);
    if (this.#present.has(memory)) return true;
    if (this.#damaged.has(memory)) return false;
    const key = this.#dependencies.names.blob(instanceName, digest);
    if ((await this.#sizeOf(key, signal)) !== digest.sizeBytes) return false;
    this.#present.add(memory);
    return true;
  }

  async #sizeOf(key: string, signal: AbortSignal | undefined): Promise<number | undefined> {
    try {
      const { store } = this.#dependencies;
      return (await this.#heads.run(() => store.head(key, { signal }), { signal }))?.sizeBytes;
    } catch (error) {
      return this.#unanswered(error, 'Look for a blob', { isKnown: false, signal });
    }
  }

  /** What an object store that fails means to who asks. */
  #unanswered(
    error: unknown,
    attempt: string,
    { isKnown, signal }: IoOptions & { readonly isKnown: boolean },
  ): undefined {
    if (signal?.aborted || !isIngotError(error)) throw error;
    if (isKnown) throw notNow(error, attempt);
    this.#dependencies.numbers.unanswered += 1;
    this.#dependencies.logger.debug({ error }, 'taken for absent, since the object store does not answer');
    return undefined;
  }

  async *#counted(bytes: AsyncIterable<Uint8Array>, digest: Digest): AsyncGenerator<Uint8Array> {
    const { numbers } = this.#dependencies;
    let sizeBytes = 0;
    for await (const chunk of bytes) {
      sizeBytes += chunk.byteLength;
      numbers.fetchedBytes += chunk.byteLength;
      if (sizeBytes === digest.sizeBytes) numbers.fetched += 1;
      yield chunk;
    }
  }

  /** The size is in it: what is known of an object goes for the digest it was seen to fit. */
  #keyOf(instanceName: string, digest: Digest): string {
    return `${digest.key} ${instanceName}`;
  }
}

function notNow(error: IngotError, attempt: string): IngotError {
  if (error.code === Code.UNAVAILABLE && error.details.length > 0) return error;
  const why = 'the object store has it and does not answer';
  return unavailable(`${attempt}: ${why}`, { cause: error, details: [retryInfo(ASK_AGAIN_MS)] });
}
