import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseFailPoints } from '../core/fail-point.ts';
import { FolderLock } from '../core/folder-lock.ts';
import type { RoleHost } from '../core/role.ts';
import type { RpcServer } from '../core/rpc/rpc-server.ts';
import type {
  CacheCapabilities,
  ExecutionCapabilities,
} from '../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { ActionCache } from './action-cache.ts';
import { CompletenessCheckingActionCache } from './actions/completeness-checking-action-cache.ts';
import { actionCacheFailPoints, LevelActionCache } from './actions/level-action-cache.ts';
import { LevelOpaqueEntries, type OpaqueKeySpace } from './actions/level-opaque-entries.ts';
import { LevelRecords } from './actions/level-records.ts';
import type { BlobStore } from './blob-store.ts';
import { EmptyBlobStore } from './blobs/empty-blob-store.ts';
import { blobStoreFailPoints, FileBlobStore } from './blobs/file-blob-store.ts';
import { SizeLimitedBlobStore } from './blobs/size-limited-blob-store.ts';
import { ChunkedBlobLookup } from './chunking/chunked-blob-lookup.ts';
import { ChunkedBlobStore } from './chunking/chunked-blob-store.ts';
import { CuttingBlobSplitter } from './chunking/cutting-blob-splitter.ts';
import { chunkListFailPoints, LevelChunkLists } from './chunking/level-chunk-lists.ts';
import { CodecBudget } from './compression/codec-budget.ts';
import { LevelFormRecords } from './compression/level-form-records.ts';
import { StoredForms } from './compression/stored-forms.ts';
import type { CacheConfig } from './config.ts';
import { cacheCapabilities } from './grpc/cache-capabilities.ts';
import { mountCache } from './grpc/mount-cache.ts';
import { sameStoresFor } from './grpc/same-stores.ts';
import { WriteSessions } from './grpc/write-sessions.ts';
import { HttpAcView } from './http/http-ac-view.ts';
import { type HttpAddress, HttpCacheServer } from './http/http-cache-server.ts';
import { HttpCasView } from './http/http-cas-view.ts';
import { OpaqueValues } from './http/opaque-values.ts';
import { WebDavView } from './http/webdav-view.ts';
import { DrainableLogStreams } from './logs/drainable-log-streams.ts';
import { FileLogStreams } from './logs/file-log-streams.ts';
import type { ResumableLogStreams } from './logs/resumable-log-streams.ts';

/** A running cache, as the other roles of the process and its endpoints use it. */
export interface Cache {
  readonly blobStore: BlobStore;
  readonly actionCache: ActionCache;
  readonly logStreams: ResumableLogStreams;
  readonly cacheCapabilities: CacheCapabilities;
  /** Mounts the gRPC services; `execution` where the endpoint also executes. */
  addServices(rpc: RpcServer, options?: { readonly execution?: ExecutionCapabilities }): void;
  /** Sends away whoever reads or writes a log, before the server is closed: they would stay as long as an action runs. */
  drain(): void;
  /** Serves /cas, /ac, /webdav, /status and /healthz; resolves with the address, the port chosen. */
  listenHttp(address: HttpAddress): Promise<HttpAddress>;
}

/** Opens the cache in `{data}/cache`, which no other process may have open, and registers how to close it. */
export async function composeCache(config: CacheConfig, { logger, lifecycle }: RoleHost): Promise<Cache> {
  const { blobBytesMax, actionCacheUpdates: updateEnabled } = config;
  const folder = join(config.data, 'cache');
  const failPoints = parseFailPoints(config.fail, [
    ...blobStoreFailPoints,
    ...actionCacheFailPoints,
    ...chunkListFailPoints,
  ]);

  await mkdir(folder, { recursive: true });
  lifecycle.use('cache folder', await FolderLock.acquire(folder));
  const files = lifecycle.use('blob store', await FileBlobStore.open({ folder, logger, failPoints }));
  const records = lifecycle.use(
    'action cache',
    await LevelRecords.open({ folder: join(folder, 'ac-v1'), logger }),
  );
  const logFiles = await FileLogStreams.open({ folder: join(folder, 'logs'), logger });
  const logStreams = new DrainableLogStreams(lifecycle.use('log streams', logFiles));
  const sessions = lifecycle.use('uploads', new WriteSessions());

  const chunkLists = await LevelChunkLists.open({ records, failPoints });
  const chunked = new ChunkedBlobStore({ inner: files, lists: chunkLists });
  const blobStore = new SizeLimitedBlobStore({ inner: new EmptyBlobStore(chunked), blobBytesMax });
  const forms = lifecycle.use(
    'compressed forms',
    new StoredForms({
      records: new LevelFormRecords(records),
      formStore: files,
      budget: new CodecBudget(),
      logger,
    }),
  );
  const actionCache = new CompletenessCheckingActionCache({
    inner: new LevelActionCache({ records, logger, failPoints }),
    blobStore,
    logger,
  });
  const splitter = new CuttingBlobSplitter({ lists: chunkLists });
  const storesOf = sameStoresFor({ blobStore, actionCache });
  const capabilities = cacheCapabilities({ blobBytesMax, updateEnabled });

  return {
    blobStore,
    actionCache,
    logStreams,
    cacheCapabilities: capabilities,
    addServices(rpc, { execution } = {}) {
      mountCache(rpc, {
        storesOf,
        forms,
        logStreams,
        sessions,
        splitter,
        chunkLists,
        cacheCapabilities: capabilities,
        executionCapabilities: execution,
      });
    },
    drain: () => logStreams.drain(),
    async listenHttp(address) {
      const shared = { storesOf, ingest: files, blobBytesMax };
      const valuesIn = (keySpace: OpaqueKeySpace) =>
        new OpaqueValues({ ...shared, entries: new LevelOpaqueEntries(records, keySpace) });
      const server = new HttpCacheServer({
        cas: new HttpCasView({
          ...shared,
          lookup: new ChunkedBlobLookup({ inner: files, lists: chunkLists, blobStore: chunked }),
        }),
        ac: new HttpAcView({ storesOf, opaqueValues: valuesIn('opaque'), updateEnabled }),
        webdav: new WebDavView({ values: valuesIn('webdav'), updateEnabled }),
        blobBytesMax,
        status: () => ({
          uptimeSeconds: Math.floor(process.uptime()),
          corruptBlobs: files.corruptBlobs,
          uploads: sessions.size,
        }),
        logger,
      });
      lifecycle.use('HTTP server', server);
      return server.listen(address);
    },
  };
}
