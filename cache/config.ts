import { z } from 'zod';
import { byteSize } from '../core/config/config-values.ts';
import { tierConfigShape } from './tier/tier-config.ts';

const TIB = 2 ** 40;

/** Settings of the cache role, by flag, environment (`INGOT_…`) or file; see `readConfig`. */
export const cacheConfigSchema = z.object({
  /** Folder of the farm; the cache keeps to `cache/` in it. */
  data: z.string().min(1, 'expected a folder'),
  /** Largest blob, announced to clients. 256 GiB is above any checkpoint in one file. */
  blobBytesMax: byteSize({ min: 1, max: 1024 * TIB }).prefault('256GiB'),
  /** Memory for copies of the small blobs written or read last; 0 reads each from the disk. 32 MiB hold a build's hot ones. */
  recentBlobBytes: byteSize({ min: 0, max: TIB }).prefault('32MiB'),
  /** Clients may file action results of their own (UpdateActionResult, PUT /ac), as `--remote_cache` does. */
  actionCacheUpdates: z.boolean().default(true),
  ...tierConfigShape,
  /** For tests: where to die, such as `cas.after_write:3`; see core/fail-point.ts. */
  fail: z.string().optional(),
});

/** The parsed settings of the cache role. */
export type CacheConfig = z.output<typeof cacheConfigSchema>;
