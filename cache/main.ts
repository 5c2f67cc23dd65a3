import type { ServerSecurity } from '../core/auth/server-security.ts';
import { anonymous } from '../core/caller.ts';
import type { Logger } from '../core/log/logger.ts';
import { gauge, type MetricFamily } from '../core/metrics/metric-family.ts';
import { MetricRegistry } from '../core/metrics/metric-registry.ts';
import type { RoleHost } from '../core/role.ts';
import type { RpcServer } from '../core/rpc/rpc-server.ts';
import type {
  CacheCapabilities,
  ExecutionCapabilities,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { CacheStatus } from '../proto/gen/ingot/v1/farm.ts';
import type { ActionCache } from './action-cache.ts';
import { ActionCacheByInstance } from './actions/action-cache-by-instance.ts';
import { CompletenessCheckingActionCache } from './actions/completeness-checking-action-cache.ts';
import type { DroppableActionCache } from './actions/droppable-action-cache.ts';
import { RecentResults } from './actions/recent-results.ts';
import { RememberingActionCache } from './actions/remembering-action-cache.ts';
import { authorisedStoresOf } from './authorised/authorised-stores.ts';
import type { BlobStore } from './blob-store.ts';
import type { BlobStoreOf } from './blob-store-of.ts';
import type { BlobIngest } from './blobs/blob-ingest.ts';
import type { BlobLookup } from './blobs/blob-lookup.ts';
import { EmptyBlobStore } from './blobs/empty-blob-store.ts';
import { SizeLimitedBlobStore } from './blobs/size-limited-blob-store.ts';
import { ChunkedBlobLookup } from './chunking/chunked-blob-lookup.ts';
import { ChunkedBlobStore } from './chunking/chunked-blob-store.ts';
import { CuttingBlobSplitter } from './chunking/cutting-blob-splitter.ts';
import type { CacheConfig } from './config.ts';
import type { DiskBlobStore } from './disk/disk-blob-store.ts';
import { cacheCapabilities } from './grpc/cache-capabilities.ts';
import { mountCache } from './grpc/mount-cache.ts';
import { storesByInstance } from './grpc/stores-by-instance.ts';
import type { WriteSessions } from './grpc/write-sessions.ts';
import { CacheHealth } from './health/cache-health.ts';
import { composeHttpServer } from './http/compose-http-server.ts';
import type { HttpAddress } from './http/http-cache-server.ts';
import type { ResumableLogStreams } from './logs/resumable-log-streams.ts';
import { CacheCounters } from './metered/cache-counters.ts';
import { MeteredActionCache } from './metered/metered-action-cache.ts';
import { MeteredBlobStore } from './metered/metered-blob-store.ts';
import { storeMetrics } from './metered/store-metrics.ts';
import { openStorage } from './open-storage.ts';
import { openTier, type Tier } from './tier/open-tier.ts';

/** A running cache, as the other roles of the process and its endpoints use it. */
export interface Cache {
  /** Of the instance without a name. */
  readonly blobStore: BlobStore;
  readonly blobStoreOf: BlobStoreOf;
  /** Of all instances. */
  readonly actionCache: ActionCache;
  readonly logStreams: ResumableLogStreams;
  readonly cacheCapabilities: CacheCapabilities;
  /** Mounts the gRPC services; `execution` where the endpoint also executes. */
  addServices(rpc: RpcServer, options?: { readonly execution?: ExecutionCapabilities }): void;
  /** How it stands, for people. */
  status(): CacheStatus;
  /** Says that it is closing, and sends away whoever reads or writes a log, before the server is closed: they would stay as long as an action runs. */
  drain(): void;
  /** Serves /cas, /ac, /webdav, /status, /healthz and /metrics; resolves with the address, the port chosen. */
  listenHttp(address: HttpAddress, security?: ServerSecurity): Promise<HttpAddress>;
}

/** Opens the cache in `{data}/cache`, which no other process may have open, and registers how to close it. */
export async function composeCache(
  config: CacheConfig,
  { logger, lifecycle, metrics = new MetricRegistry() }: RoleHost,
): Promise<Cache> {
  const { blobBytesMax, actionCacheUpdates: updateEnabled } = config;
  const storage = await openStorage(config, { logger, lifecycle });
  const { folder, disk, records, localResults, chunkLists, forms, logStreams, sessions } = storage;
  const localOf = (instanceName: string) =>
    new ChunkedBlobStore({ inner: disk.forInstance(instanceName), lists: chunkLists });
  const splitter = new CuttingBlobSplitter({ lists: chunkLists });
  const host = { logger, lifecycle, metrics };
  const tier = await openTier(config, host, {
    folder,
    localBlobs: localOf,
    localResults,
    invocationTtlMs: config.invocationTtl,
  });
  const behind = storesBehind({ localOf, localResults, tier, config, logger, metrics });
  metrics.add({ metrics: () => [...storeMetrics(disk.stats), ...uploadMetrics(sessions)] });
  const capabilities = cacheCapabilities({ blobBytesMax, updateEnabled });

  return {
    blobStore: behind.stores.blobStore,
    blobStoreOf: (instanceName) => behind.storesOf(instanceName, anonymous).blobStore,
    actionCache: new ActionCacheByInstance(behind),
    logStreams,
    cacheCapabilities: capabilities,
    addServices(rpc, { execution } = {}) {
      mountCache(rpc, {
        storesOf: behind.storesOf,
        forms,
        logStreams,
        sessions,
        splitterOf: () => splitter,
        chunkLists,
        cacheCapabilities: capabilities,
        executionCapabilities: execution,
      });
    },
    status: () => cacheStatus(behind.counters, disk),
    drain() {
      behind.health.close();
      logStreams.drain();
    },
    async listenHttp(address, security) {
      const ingestOf = (instanceName: string): BlobIngest => {
        const local = disk.forInstance(instanceName);
        return tier?.ingest(instanceName, local) ?? local;
      };
      const lookupOf = (instanceName: string): BlobLookup => {
        const local = new ChunkedBlobLookup({
          inner: disk.forInstance(instanceName),
          lists: chunkLists,
          blobStore: localOf(instanceName),
        });
        return tier?.lookup(instanceName, local) ?? local;
      };
      const status = () => ({
        store: disk.stats,
        uploads: sessions.size,
        ...(tier === undefined ? {} : { tier: tier.status() }),
      });
      const parts = { ...behind, ingestOf, lookupOf, forms, records, status };
      const server = composeHttpServer({ ...parts, config, logger, metrics, security });
      lifecycle.use('HTTP server', server);
      return server.listen(address);
    },
  };
}

interface StoresBehind {
  readonly localOf: (instanceName: string) => BlobStore;
  readonly localResults: DroppableActionCache;
  readonly tier: Tier | undefined;
  readonly config: CacheConfig;
  readonly logger: Logger;
  readonly metrics: MetricRegistry;
}

/** The stores as clients see them, over those of this machine or of the tier: counted, limited, results complete. */
function storesBehind({ localOf, localResults, tier, config, logger, metrics }: StoresBehind) {
  const { blobBytesMax } = config;
  const counters = new CacheCounters();
  metrics.add(counters);
  const recent = new RecentResults();
  const storesOf = storesByInstance((instanceName) => {
    const kept = tier?.blobStore(instanceName) ?? localOf(instanceName);
    const blobStore = new SizeLimitedBlobStore({ inner: new EmptyBlobStore(kept), blobBytesMax });
    const filed = tier?.actionCache ?? localResults;
    const complete = new CompletenessCheckingActionCache({ inner: filed, blobStore, logger });
    const results = new RememberingActionCache({ inner: complete, blobStore, recent });
    return {
      blobStore: new MeteredBlobStore({ inner: blobStore, counters }),
      actionCache: new MeteredActionCache({ inner: results, counters }),
    };
  });
  const stores = storesOf('', anonymous);
  const health = new CacheHealth({ blobStore: stores.blobStore, counters });
  return { storesOf: authorisedStoresOf(storesOf), stores, counters, health };
}

function uploadMetrics({ size }: WriteSessions): MetricFamily[] {
  const help = 'Uploads by ByteStream under way, those that wait to be resumed included.';
  return [gauge('ingot_uploads_running', help, size)];
}

function cacheStatus({ actionReads }: CacheCounters, { stats }: DiskBlobStore): CacheStatus {
  return {
    storedBytes: stats.storedBytes,
    storedBytesMax: stats.limitBytes,
    blobs: stats.blobs,
    actionResultsFound: actionReads.hit,
    actionResultsMissed: actionReads.miss,
  };
}
