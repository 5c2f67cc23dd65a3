import { z } from 'zod';
import { LevelActionCache } from '../../../cache/actions/level-action-cache.ts';
import { LevelRecords } from '../../../cache/actions/level-records.ts';
import type { BlobStore } from '../../../cache/blob-store.ts';
import type { ObjectStore } from '../../../cache/tier/object-store.ts';
import { openTier, type Tier } from '../../../cache/tier/open-tier.ts';
import { tierConfigShape } from '../../../cache/tier/tier-config.ts';
import { Lifecycle } from '../../../core/lifecycle.ts';

import { type RecordingLogger, recordingLogger } from '../../setup/recording-logger.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';

/** Of what a tier under test is made. */
export interface TierUnderTestOptions {
  readonly objectStore: ObjectStore;
  /** The local blobs, of all instances; default: in memory. */
  readonly local?: BlobStore;
  /** Further settings, by flag. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Where pending uploads are kept; default: a folder that goes with it. */
  readonly folder?: string;
  /** How long the local store's leases last. */
  readonly invocationTtlMs?: number;
}

/** An open tier on local stores in memory. */
export interface TierUnderTest extends AsyncDisposable {
  readonly tier: Tier;
  readonly store: BlobStore;
  readonly local: BlobStore;
  readonly logger: RecordingLogger;
}

export async function openTierUnderTest({
  objectStore,
  local = new MemoryBlobStore(),
  settings,
  folder,
  invocationTtlMs = 600_000,
}: TierUnderTestOptions): Promise<TierUnderTest> {
  const own = await tempFolder();
  const logger = recordingLogger();
  const lifecycle = new Lifecycle({ logger });
  const config = z.object(tierConfigShape).parse({ tier: 's3://farm/prefix', ...settings });
  const records = lifecycle.use('records', await LevelRecords.open({ folder: `${own.path}/ac`, logger }));
  const tier = await openTier(
    config,
    { logger, lifecycle },
    {
      folder: folder ?? `${own.path}/tier`,
      localBlobs: () => local,
      localResults: new LevelActionCache({ records, logger }),
      invocationTtlMs,
      objectStore,
    },
  );
  if (tier === undefined) throw new Error('the settings name no tier');
  return {
    tier,
    store: tier.blobStore(''),
    local,
    logger,
    async [Symbol.asyncDispose]() {
      await lifecycle.shutdown({ deadlineMs: 5000 });
      await own[Symbol.asyncDispose]();
    },
  };
}
