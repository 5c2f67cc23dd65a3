import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseFailPoints } from '../core/fail-point.ts';
import { FolderLock } from '../core/folder-lock.ts';
import type { RoleHost } from '../core/role.ts';
import { actionCacheFailPoints, LevelActionCache } from './actions/level-action-cache.ts';
import { LevelRecords } from './actions/level-records.ts';
import { chunkListFailPoints, LevelChunkLists } from './chunking/level-chunk-lists.ts';
import { CodecBudget } from './compression/codec-budget.ts';
import { LevelFormRecords } from './compression/level-form-records.ts';
import { StoredForms } from './compression/stored-forms.ts';
import type { CacheConfig } from './config.ts';
import { DiskBlobStore, diskBlobStoreFailPoints } from './disk/disk-blob-store.ts';
import { defaultWriteSessionLimits, WriteSessions } from './grpc/write-sessions.ts';
import { DrainableLogStreams } from './logs/drainable-log-streams.ts';
import { FileLogStreams } from './logs/file-log-streams.ts';
import { UploadStages } from './uploads/upload-stages.ts';

/** Compressed forms are blobs of an instance that no client can name: a name on the wire has no NUL. */
const FORMS_INSTANCE = '\0forms';

/** What a cache keeps on disk, open. */
export interface CacheStorage {
  /** Holds all of it. */
  readonly folder: string;
  /** The blobs of all instances. */
  readonly disk: DiskBlobStore;
  /** What is no blob: results, opaque entries, chunk lists, forms. */
  readonly records: LevelRecords;
  /** Of all instances; a tier may have more. */
  readonly localResults: LevelActionCache;
  readonly chunkLists: LevelChunkLists;
  readonly forms: StoredForms;
  readonly logStreams: DrainableLogStreams;
  /** Uploads under way, those included that an earlier process left. */
  readonly sessions: WriteSessions;
}

/** Opens what is in `{data}/cache`, which no other process may have open; it is closed in the opposite order. */
export async function openStorage(
  config: CacheConfig,
  { logger, lifecycle }: Pick<RoleHost, 'logger' | 'lifecycle'>,
): Promise<CacheStorage> {
  const folder = join(config.data, 'cache');
  const failPoints = parseFailPoints(config.fail, [
    ...diskBlobStoreFailPoints,
    ...actionCacheFailPoints,
    ...chunkListFailPoints,
  ]);

  await mkdir(folder, { recursive: true });
  lifecycle.use('cache folder', await FolderLock.acquire(folder));
  const stages = lifecycle.use(
    'upload stages',
    await UploadStages.open({ folder: join(folder, 'uploads-v1'), logger }),
  );
  const disk = lifecycle.use(
    'blob store',
    await DiskBlobStore.open({
      folder,
      logger,
      failPoints,
      limitBytes: config.cacheBytes,
      besideBytes: () => stages.waitingBytes,
      invocationTtlMs: config.invocationTtl,
      scrubBytesPerSecond: config.scrubRate,
      recentBlobBytes: config.recentBlobBytes,
      smallBlobBytesMax: config.smallBlobBytes,
    }),
  );
  const records = lifecycle.use(
    'action cache',
    await LevelRecords.open({ folder: join(folder, 'ac-v1'), logger }),
  );
  const logFiles = await FileLogStreams.open({ folder: join(folder, 'logs'), logger });
  const logStreams = new DrainableLogStreams(lifecycle.use('log streams', logFiles));
  const sessions = lifecycle.use('uploads', new WriteSessions(defaultWriteSessionLimits, stages));
  const localResults = new LevelActionCache({ records, logger, failPoints });
  const chunkLists = await LevelChunkLists.open({ records, failPoints });
  const forms = lifecycle.use(
    'compressed forms',
    new StoredForms({
      records: new LevelFormRecords(records),
      formStore: disk.forInstance(FORMS_INSTANCE),
      budget: new CodecBudget(),
      logger,
    }),
  );
  return { folder, disk, records, localResults, chunkLists, forms, logStreams, sessions };
}
