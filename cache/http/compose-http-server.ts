import type { ServerSecurity } from '../../core/auth/server-security.ts';
import type { Logger } from '../../core/log/logger.ts';
import type { MetricRegistry } from '../../core/metrics/metric-registry.ts';
import { LevelOpaqueEntries, type OpaqueKeySpace } from '../actions/level-opaque-entries.ts';
import type { LevelRecords } from '../actions/level-records.ts';
import type { BlobIngest } from '../blobs/blob-ingest.ts';
import type { BlobLookup } from '../blobs/blob-lookup.ts';
import type { CompressedForms } from '../compression/compressed-forms.ts';
import type { CacheConfig } from '../config.ts';
import type { InstanceStoresOf } from '../grpc/instance-stores.ts';
import type { CacheHealth } from '../health/cache-health.ts';
import type { CacheCounters } from '../metered/cache-counters.ts';
import { AuthorisedHttpFolderView } from './authorised-http-folder-view.ts';
import { AuthorisedHttpView } from './authorised-http-view.ts';
import { HttpAcView } from './http-ac-view.ts';
import { HttpCacheServer } from './http-cache-server.ts';
import { HttpCasView } from './http-cas-view.ts';
import { OpaqueValues } from './opaque-values.ts';
import { WebDavView } from './webdav-view.ts';

/** What the HTTP views stand on: stores of this process. */
export interface HttpServerParts {
  readonly storesOf: InstanceStoresOf;
  readonly ingestOf: (instanceName: string) => BlobIngest;
  readonly lookupOf: (instanceName: string) => BlobLookup;
  readonly forms: CompressedForms;
  /** Where opaque values are noted. */
  readonly records: LevelRecords;
  readonly counters: CacheCounters;
  readonly health: CacheHealth;
  /** What /status shows besides the counters. */
  readonly status: () => object;
  readonly config: CacheConfig;
  readonly logger: Logger;
  readonly metrics: MetricRegistry;
  readonly security: ServerSecurity | undefined;
}

/** The HTTP server of a cache, which is yet to listen: its views, each behind the rights that it takes. */
export function composeHttpServer({
  storesOf,
  ingestOf,
  lookupOf,
  forms,
  records,
  counters,
  health,
  status,
  config,
  logger,
  metrics,
  security,
}: HttpServerParts): HttpCacheServer {
  const { blobBytesMax, actionCacheUpdates: updateEnabled } = config;
  const shared = { storesOf, ingestOf, blobBytesMax };
  const valuesIn = (keySpace: OpaqueKeySpace) =>
    new OpaqueValues({ ...shared, entries: new LevelOpaqueEntries(records, keySpace) });
  return new HttpCacheServer({
    cas: new AuthorisedHttpView({
      inner: new HttpCasView({ ...shared, lookupOf, forms }),
      putRight: 'write',
    }),
    ac: new AuthorisedHttpView({
      inner: new HttpAcView({ storesOf, opaqueValues: valuesIn('opaque'), updateEnabled }),
      putRight: 'publish',
    }),
    // Whoever reads a value trusts who put it there, as with action results.
    webdav: new AuthorisedHttpFolderView({
      inner: new WebDavView({ values: valuesIn('webdav'), updateEnabled }),
      putRight: 'publish',
    }),
    blobBytesMax,
    status: () => ({
      uptimeSeconds: Math.floor(process.uptime()),
      ...counters.summary(),
      ...status(),
    }),
    problem: () => health.problem(),
    metrics,
    logger,
    security,
  });
}
