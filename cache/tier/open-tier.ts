import { join } from 'node:path';
import { isIngotError, wrap } from '../../core/error.ts';
import type { RoleHost } from '../../core/role.ts';
import { bytesOf } from '../../core/streams.ts';
import { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { ActionCache } from '../action-cache.ts';
import type { DroppableActionCache } from '../actions/droppable-action-cache.ts';
import { LevelRecords } from '../actions/level-records.ts';
import type { BlobStore } from '../blob-store.ts';
import type { BlobIngest } from '../blobs/blob-ingest.ts';
import type { BlobLookup } from '../blobs/blob-lookup.ts';
import { BlobFlights } from './blob-flights.ts';
import { blobSource } from './blob-source.ts';
import { BlobTier } from './blob-tier.ts';
import { BreakingObjectStore } from './breaking-object-store.ts';
import { ObjectNames } from './object-names.ts';
import type { ObjectStore } from './object-store.ts';
import type { PendingUpload } from './pending-upload.ts';
import { ResultTier } from './result-tier.ts';
import { TIER_FOLDER, type TierAddress, type TierConfig } from './tier-config.ts';
import { tierMetrics } from './tier-metrics.ts';
import { newTierNumbers, type TierStatus } from './tier-numbers.ts';
import { TieredActionCache } from './tiered-action-cache.ts';
import { TieredBlobIngest } from './tiered-blob-ingest.ts';
import { TieredBlobLookup } from './tiered-blob-lookup.ts';
import { TieredBlobStore } from './tiered-blob-store.ts';
import { UploadPins } from './upload-pins.ts';
import { UploadQueue, type UploadTask } from './upload-queue.ts';

/** What lies in front of a tier, and where its queue is kept. */
export interface TierSurroundings {
  /** The cache's; pending uploads are in {@link TIER_FOLDER} below it. */
  readonly folder: string;
  /** The local blobs of an instance. */
  localBlobs(instanceName: string): BlobStore;
  readonly localResults: DroppableActionCache;
  /** How long an invocation keeps what it used there from eviction. */
  readonly invocationTtlMs: number;
  /** Default: the S3 store the settings name. */
  readonly objectStore?: ObjectStore;
}

/** An open tier: it makes tiered stores out of local ones. */
export interface Tier {
  blobStore(instanceName: string): BlobStore;
  readonly actionCache: DroppableActionCache;
  /** For HTTP, which says neither size nor, at times, hash beforehand. */
  lookup(instanceName: string, inner: BlobLookup): BlobLookup;
  ingest(instanceName: string, inner: BlobIngest): BlobIngest;
  /** Counts for /status and /metrics. */
  status(): TierStatus;
}

/**
 * Opens the tier the settings name, undefined when they name none, and registers how to close it. An object store that is away is only warned of;
 * FAILED_PRECONDITION when it refuses us: a wrong bucket or credential is to be known at start.
 */
export async function openTier(
  config: TierConfig,
  { logger, lifecycle, metrics }: RoleHost,
  surroundings: TierSurroundings,
): Promise<Tier | undefined> {
  const address = config.tier;
  if (address === undefined) return undefined;
  const { folder, localBlobs, localResults } = surroundings;
  const inner = surroundings.objectStore ?? (await openS3(address, config, lifecycle));
  const store = new BreakingObjectStore({ inner, logger });
  const names = new ObjectNames(address.prefix);
  const numbers = newTierNumbers();
  await checkAccess(store, names, logger);

  const tier = new BlobTier({ store, names, numbers, logger, rememberMs: config.tierRemember });
  const results = new ResultTier({ store, names, numbers, logger });
  const flights = new BlobFlights({ tier, logger });
  const records = lifecycle.use(
    'pending uploads',
    await LevelRecords.open({ folder: join(folder, TIER_FOLDER), logger }),
  );
  const pins = new UploadPins({ localBlobs, leaseMs: surroundings.invocationTtlMs });
  const uploads = await UploadQueue.open({
    ...{ store, records, numbers, logger },
    pin: (pending) => pins.renew(pending),
    pinnedMs: surroundings.invocationTtlMs,
    uploadsAtOnce: config.tierUploads,
    uploadsMax: config.tierQueueUploads,
    bytesMax: config.tierQueueBytes,
    taskOf: taskMaker({ tier, results, names, localBlobs, localResults }),
  });
  lifecycle.use('uploads to the object store', uploads);
  const uploadWaitMs = config.tierWrite === 'sync' ? config.tierSyncWait : undefined;
  const status = () => ({
    ...numbers,
    queued: uploads.uploads,
    queuedBytes: uploads.bytes,
    isAway: store.isAway,
  });
  metrics?.add({ metrics: () => tierMetrics(status()) });
  return {
    blobStore: (instanceName) =>
      new TieredBlobStore({
        inner: localBlobs(instanceName),
        ...{ instanceName, tier, flights, uploads, uploadWaitMs },
      }),
    actionCache: new TieredActionCache({ inner: localResults, tier: results, uploads, uploadWaitMs }),
    lookup: (instanceName, inner) => new TieredBlobLookup({ inner, instanceName, tier }),
    ingest: (instanceName, inner) => new TieredBlobIngest({ inner, instanceName, uploads, uploadWaitMs }),
    status,
  };
}

/** The SDK takes a third of a second to load: only who has a tier waits for it. */
async function openS3(
  { bucket }: TierAddress,
  { tierEndpoint: endpoint, tierRegion, tierPathStyle, tierTimeout: timeoutMs }: TierConfig,
  lifecycle: RoleHost['lifecycle'],
): Promise<ObjectStore> {
  const { S3ObjectStore } = await import('./s3-object-store.ts');
  const region = tierRegion ?? (endpoint === undefined ? undefined : 'us-east-1');
  const pathStyle = tierPathStyle ?? endpoint !== undefined;
  return lifecycle.use('object store', new S3ObjectStore({ bucket, endpoint, region, pathStyle, timeoutMs }));
}

/** Asks for an object that need not be there: a bucket that is not there, or closed to us, says so. */
async function checkAccess(
  store: ObjectStore,
  names: ObjectNames,
  logger: RoleHost['logger'],
): Promise<void> {
  const probe = { hash: 'ingot-probe', digestFunction: DigestFunction_Value.SHA256 };
  try {
    (await store.get(names.blob('', probe)))?.close();
  } catch (error) {
    if (!isIngotError(error, Code.UNAVAILABLE)) throw wrap(error, 'Open the tier');
    logger.warn({ error }, 'the object store does not answer; the cache starts without it');
  }
}

/** How a pending upload is carried out, with what this node has by then. */
function taskMaker({
  tier,
  results,
  names,
  localBlobs,
  localResults,
}: {
  readonly tier: BlobTier;
  readonly results: ResultTier;
  readonly names: ObjectNames;
  readonly localBlobs: (instanceName: string) => BlobStore;
  readonly localResults: ActionCache;
}): (upload: PendingUpload, options: { readonly signal: AbortSignal }) => Promise<UploadTask | undefined> {
  return async ({ kind, instanceName, digest }, { signal }) => {
    if (kind === 'result') {
      const key = { instanceName, actionDigest: digest };
      const result = await localResults.get(key, { signal });
      if (result === undefined) return undefined;
      const { name, bytes } = results.objectOf(key, result);
      const source = { sizeBytes: bytes.byteLength, read: () => bytesOf(bytes) };
      return { key: name, source, onDone: () => undefined };
    }
    const local = localBlobs(instanceName);
    if ((await local.findMissing([digest], { signal })).length > 0) return undefined;
    return {
      key: names.blob(instanceName, digest),
      source: blobSource(local, digest, signal),
      onDone: () => tier.remember(instanceName, digest),
    };
  };
}
