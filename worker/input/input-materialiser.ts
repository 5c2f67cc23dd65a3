import type { BlobStore } from '../../cache/blob-store.ts';
import { mapConcurrent } from '../../core/concurrency.ts';
import type { Digest } from '../../core/digest.ts';
import { failedPrecondition, type IngotError, resourceExhausted } from '../../core/error.ts';
import { missingBlobs } from '../../core/error-details.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { type InputEntry, InputEntry_Kind } from '../../proto/gen/ingot/v1/launcher.ts';
import { type BlobFile, blobFileName } from '../blobs/blob-file-name.ts';
import type { LocalBlobCache } from '../blobs/local-blob-cache.ts';
import type { Sandbox, SandboxPlace } from '../sandbox/sandbox.ts';
import type { StoreRetries } from '../store-retries.ts';
import { type PlannedEntry, planFolders, planInputs } from './input-plan.ts';
import { readInputTree } from './input-tree.ts';

/** Blobs of one action under way at once: enough to fill the batches of a remote store. */
const FETCHES_AT_ONCE = 64;

export interface InputMaterialiserDependencies {
  readonly blobStore: BlobStore;
  readonly blobCache: LocalBlobCache;
  readonly sandbox: Sandbox;
  readonly retries: StoreRetries;
}

/** What an action starts from. */
export interface InputRequest {
  readonly inputRootDigest: Digest;
  /** Folders to be there besides: the working directory, the parents of outputs. */
  readonly folders: Iterable<string>;
}

/** An input root that stands; disposing of it lets go of the cached blobs, not of the folder. */
export interface MaterialisedInputs extends Disposable {
  readonly files: number;
  readonly bytes: number;
}

/** Brings an action's input root onto this disk and into its sandbox. */
export class InputMaterialiser {
  readonly #dependencies: InputMaterialiserDependencies;

  constructor(dependencies: InputMaterialiserDependencies) {
    this.#dependencies = dependencies;
  }

  /** FAILED_PRECONDITION with a MISSING violation for every absent blob, directories and files alike. */
  async materialise(
    place: SandboxPlace,
    { inputRootDigest, folders }: InputRequest,
    options: IoOptions = {},
  ): Promise<MaterialisedInputs> {
    const { blobStore, retries, sandbox } = this.#dependencies;
    const tree = await retries.run(
      'read the input root',
      () => readInputTree(blobStore, inputRootDigest, options),
      options,
    );
    const plan = planInputs(tree);
    const blobs = distinctBlobs(plan);
    using pins = new DisposableStack();
    const missing = await this.#acquire(blobs, pins, options);
    if (tree.missing.length + missing.length > 0) throw missingInputs([...tree.missing, ...missing]);
    planFolders(plan, folders);
    await sandbox.addInputs(place, Array.from(plan.values(), entryOf), options);
    const held = pins.move();
    return {
      files: blobs.length,
      bytes: bytesOfBlobs(blobs),
      [Symbol.dispose]: () => held.dispose(),
    };
  }

  async #acquire(blobs: readonly BlobFile[], pins: DisposableStack, options: IoOptions): Promise<Digest[]> {
    const { blobCache, blobStore: source } = this.#dependencies;
    const bytes = bytesOfBlobs(blobs);
    if (bytes > blobCache.bytesMax) {
      throw resourceExhausted(
        `the inputs have ${bytes} bytes, more than the worker's blob cache of ${blobCache.bytesMax}`,
      );
    }
    const absent = await mapConcurrent(
      blobs,
      FETCHES_AT_ONCE,
      async (blob, signal) => {
        const pinned = await blobCache.acquire(blob, { signal, source });
        if (pinned !== undefined) pins.use(pinned);
        return pinned === undefined ? [blob.digest] : [];
      },
      options,
    );
    return absent.flat();
  }
}

/** The error that tells a client which blobs to upload before it tries again. */
export function missingInputs(digests: readonly Digest[]): IngotError {
  const distinct = [...new Map(digests.map((digest) => [digest.key, digest])).values()];
  const [first] = distinct;
  const what = distinct.length === 1 ? `blob ${first} is` : `${distinct.length} blobs, such as ${first}, are`;
  return failedPrecondition(`${what} missing`, { details: [missingBlobs(distinct)] });
}

function distinctBlobs(plan: ReadonlyMap<string, PlannedEntry>): BlobFile[] {
  const blobs = new Map<string, BlobFile>();
  for (const entry of plan.values()) {
    if (entry.kind === 'file') blobs.set(blobFileName(entry.blob), entry.blob);
  }
  return [...blobs.values()];
}

function bytesOfBlobs(blobs: readonly BlobFile[]): number {
  return blobs.reduce((sum, { digest }) => sum + digest.sizeBytes, 0);
}

function entryOf(entry: PlannedEntry): InputEntry {
  const { path } = entry;
  const plain = { path, source: '', mtime: undefined };
  switch (entry.kind) {
    case 'directory':
      return { ...plain, kind: InputEntry_Kind.DIRECTORY };
    case 'symlink':
      return { ...plain, kind: InputEntry_Kind.SYMLINK, source: entry.target };
    case 'file': {
      const { blob, unixMode, mtime } = entry;
      return { path, kind: InputEntry_Kind.FILE, source: blobFileName(blob), unixMode, mtime };
    }
  }
}
