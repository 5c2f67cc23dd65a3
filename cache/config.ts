import { z } from 'zod';
import { byteSize, duration } from '../core/config/config-values.ts';
import { tierConfigShape } from './tier/tier-config.ts';

const MIB = 2 ** 20;
const TIB = 2 ** 40;
const DAY_MS = 86_400_000;
/** The scheduler renews once a minute what operations need. */
const TTL_MS_MIN = 180_000;

/** Settings of the cache role, by flag, environment (`INGOT_…`) or file; see `readConfig`. */
export const cacheConfigSchema = z.object({
  /** Folder of the farm; the cache keeps to `cache/` in it. */
  data: z.string().min(1, 'expected a folder'),
  /** Largest blob, announced to clients. 256 GiB is above any checkpoint in one file. */
  blobBytesMax: byteSize({ min: 1, max: 1024 * TIB }).prefault('256GiB'),
  /** Most bytes of blobs that are kept, the oldest being evicted; by default 80 % of what the file system has free for them. */
  cacheBytes: byteSize({ min: 4 * MIB, max: 1024 * TIB }).optional(),
  /** How long a build (RequestMetadata's tool_invocation_id) keeps what it used from eviction, after its last call. */
  invocationTtl: duration({ min: TTL_MS_MIN, max: DAY_MS }).prefault('10m'),
  /** Bytes of blobs that are re-read each second, in the background, to find damaged ones; 0 is none. */
  scrubRate: byteSize({ min: 0, max: TIB }).prefault('8MiB'),
  /** Blobs up to this size share segment files and their syncs, larger ones are files of their own; 0 makes each a file. */
  smallBlobBytes: byteSize({ min: 0, max: MIB }).prefault('64KiB'),
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
