import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted } from '../../core/abort.ts';
import { Digest } from '../../core/digest.ts';
import { isIngotError } from '../../core/error.ts';
import { noFailPoints } from '../../core/fail-point.ts';
import { FolderLock } from '../../core/folder-lock.ts';
import type { Logger } from '../../core/log/logger.ts';
import { quote } from '../../core/quote.ts';
import type {
  ActionResult,
  DigestFunction_Value,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { LevelActionCache } from '../actions/level-action-cache.ts';
import { LevelRecords } from '../actions/level-records.ts';
import { missingFromResult, type ResultClosureOptions } from '../actions/result-closure.ts';
import type { BlobStore } from '../blob-store.ts';
import { EmptyBlobStore } from '../blobs/empty-blob-store.ts';
import { ChunkedBlobStore } from '../chunking/chunked-blob-store.ts';
import { LevelChunkLists } from '../chunking/level-chunk-lists.ts';
import { verifyChunkLists } from '../chunking/verify-chunk-lists.ts';
import { DiskBlobStore } from '../disk/disk-blob-store.ts';
import { TIER_FOLDER } from '../tier/tier-config.ts';
import { ProblemLog } from './problem-log.ts';

/** What a cache's folder holds; anything else there is not ours. */
const KNOWN =
  /^(lock|cas-v1|segments-v1|incoming|quarantine|ac-v1(\.damaged)?|logs|instances-v1(-copy)?\.json|scrub-v1\.json|uploads(-v1)?|tier.*)$/;
const KNOWN_SEGMENT_FILES = /^[0-9]{8,}\.(seg|idx|seg\.damaged)$/;

/** How to verify a cache. */
export interface VerifyOptions {
  /** The farm's data folder. */
  readonly data: string;
  /** Take out damaged blobs, and drop results that lack a blob. */
  readonly repair: boolean;
  readonly signal: AbortSignal;
  /** Is told how many bytes of blobs were read so far, and how many there are. */
  readonly onProgress: (readBytes: number, totalBytes: number) => void;
}

/** What was seen. */
export interface VerifyReport {
  readonly blobs: number;
  readonly bytes: number;
  readonly results: number;
  /** Those that name blobs which are not here, where an object store lies behind the cache: it is not asked. */
  readonly resultsElsewhere: number;
  /** Empty when all is well. */
  readonly problems: readonly string[];
}

/**
 * Checks all that a cache has on disk: every blob hashes to its name, every action result has all its blobs, what is
 * in the folders is known. A cache with a tier may have blobs of a result there alone. The cache must not be running:
 * FAILED_PRECONDITION. Opens it as a start does, which cuts off what a crash left half written and makes sidecars that are
 * missing; more is changed only to repair.
 */
export async function verifyCache(options: VerifyOptions): Promise<VerifyReport> {
  const { data, repair, signal, onProgress } = options;
  const folder = join(data, 'cache');
  const problems: string[] = [];
  const logger = new ProblemLog((problem) => problems.push(problem));
  await using _lock = await FolderLock.acquire(folder);
  const names = await readdir(folder);
  problems.push(...(await unknownIn(folder, names)));
  const settings = { recentBlobBytes: 0, invocationTtlMs: 0, keepDamaged: !repair };
  await using disk = await DiskBlobStore.open({ folder, logger, ...settings });
  let readBytes = 0;
  const damaged: string[] = [];
  await disk.checkAll({
    keep: !repair,
    onDamaged: (digest) => damaged.push(digest.toString()),
    pace: async (bytes) => {
      throwIfAborted(signal);
      readBytes += bytes;
      onProgress(readBytes, disk.stats.storedBytes);
    },
  });
  // Taking one out is logged besides.
  if (!repair) problems.push(...damaged.map((digest) => `blob ${digest} is damaged`));
  const check = { folder, problems, damaged: new Set(damaged), logger, hasTier: names.includes(TIER_FOLDER) };
  return {
    blobs: disk.stats.blobs,
    bytes: readBytes,
    ...(await verifyResults(disk, options, check)),
    problems,
  };
}

interface ResultsCheck {
  readonly folder: string;
  readonly problems: string[];
  /** Damaged blobs that are still in their places. */
  readonly damaged: ReadonlySet<string>;
  readonly logger: Logger;
  readonly hasTier: boolean;
}

async function verifyResults(
  disk: DiskBlobStore,
  { repair, signal }: VerifyOptions,
  { folder, problems, damaged, logger, hasTier }: ResultsCheck,
): Promise<Pick<VerifyReport, 'results' | 'resultsElsewhere'>> {
  await using records = await LevelRecords.open({ folder: join(folder, 'ac-v1'), logger });
  const lists = await LevelChunkLists.open({ records, failPoints: noFailPoints });
  const soundIn = (instanceName: string) => new SoundBlobStore(disk.forInstance(instanceName), damaged);
  // A result has its blobs where it is, in its own instance.
  const storeOf = (instanceName: string) =>
    new EmptyBlobStore(new ChunkedBlobStore({ inner: soundIn(instanceName), lists }));
  const actionCache = new LevelActionCache({ records, logger });
  let results = 0;
  let resultsElsewhere = 0;
  for await (const key of records.keys('action\0')) {
    throwIfAborted(signal);
    const [, instanceName = '', name = ''] = key.split('\0');
    const [digestFunction, hash = ''] = name.split('-');
    const actionDigest = Digest.of(hash, 1, Number(digestFunction) as DigestFunction_Value);
    const result = await actionCache.get({ instanceName, actionDigest });
    // A damaged record is a problem that was noted.
    if (result === undefined) continue;
    results += 1;
    const store = storeOf(instanceName);
    const { missing, fault } = await lookThrough(result, {
      store,
      digestFunction: actionDigest.digestFunction,
    });
    if (missing !== undefined && hasTier) {
      resultsElsewhere += 1;
      continue;
    }
    const why = missing === undefined ? fault : `lacks blob ${missing}`;
    if (why === undefined) continue;
    problems.push(`the result of action ${hash} in instance ${quote(instanceName)} ${why}`);
    if (repair) await actionCache.drop({ instanceName, actionDigest }, result);
  }
  await verifyLists(lists, { names: disk.instanceNames, soundIn, problems, repair, signal });
  return { results, resultsElsewhere };
}

/** The first blob that a result lacks, or what else is wrong with it. */
async function lookThrough(
  result: ActionResult,
  options: ResultClosureOptions,
): Promise<{ readonly missing?: Digest | undefined; readonly fault?: string }> {
  try {
    const [missing] = await missingFromResult(result, options);
    return { missing };
  } catch (error) {
    if (isIngotError(error)) return { fault: `is no good: ${error.message}` };
    throw error;
  }
}

interface ListsCheck extends Pick<VerifyOptions, 'repair' | 'signal'> {
  readonly names: readonly string[];
  readonly soundIn: (instanceName: string) => BlobStore;
  readonly problems: string[];
}

/** Reads each listed blob once, in the first instance that has all its chunks. */
async function verifyLists(
  lists: LevelChunkLists,
  { names, soundIn, problems, repair, signal }: ListsCheck,
): Promise<void> {
  let digests = lists.digests();
  for (const name of names) {
    const elsewhere: Digest[] = [];
    for await (const { digest, state } of verifyChunkLists({
      lists,
      digests,
      blobStore: soundIn(name),
      signal,
    })) {
      // Chunks that are gone from everywhere were evicted, and damaged ones are noted as the blobs they are.
      if (state === 'incomplete') elsewhere.push(digest);
      if (state !== 'wrong') continue;
      problems.push(`the chunks listed for blob ${digest} make another one`);
      if (repair) await lists.drop(digest);
    }
    digests = elsewhere;
  }
}

/** A store without the blobs that are known to be damaged. */
class SoundBlobStore implements BlobStore {
  readonly #inner: BlobStore;
  readonly #damaged: ReadonlySet<string>;

  constructor(inner: BlobStore, damaged: ReadonlySet<string>) {
    this.#inner = inner;
    this.#damaged = damaged;
  }

  async findMissing(digests: readonly Digest[]): Promise<Digest[]> {
    const missing = new Set((await this.#inner.findMissing(digests)).map(String));
    return digests.filter((digest) => missing.has(String(digest)) || this.#damaged.has(String(digest)));
  }

  async read(digest: Digest, range?: Parameters<BlobStore['read']>[1]) {
    // Reading a damaged blob would take it out.
    return this.#damaged.has(String(digest)) ? undefined : await this.#inner.read(digest, range);
  }

  write(digest: Digest, source: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#inner.write(digest, source);
  }
}

async function unknownIn(folder: string, names: readonly string[]): Promise<string[]> {
  const unknown = names.filter((name) => !KNOWN.test(name));
  const segments = await readdir(join(folder, 'segments-v1')).catch(() => []);
  unknown.push(
    ...segments.filter((name) => !KNOWN_SEGMENT_FILES.test(name)).map((name) => `segments-v1/${name}`),
  );
  return unknown.map((name) => `${name} in the cache's folder is nothing the cache knows`);
}
