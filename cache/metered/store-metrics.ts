import { counter, gauge, type MetricFamily } from '../../core/metrics/metric-family.ts';
import type { DiskStoreStats } from '../disk/disk-store-stats.ts';

/** What a store holds, and what became of blobs since start, as Prometheus sees it. */
export function storeMetrics(stats: DiskStoreStats): MetricFamily[] {
  return [
    gauge('ingot_store_blobs', 'Blobs in the store.', stats.blobs),
    gauge('ingot_store_bytes', 'Bytes of the store on disk.', stats.storedBytes),
    gauge('ingot_store_segments', 'Segments that small blobs are in.', stats.segments),
    gauge('ingot_store_limit_bytes', 'Most bytes that are kept.', stats.limitBytes),
    gauge('ingot_store_live_invocations', 'Builds that hold what they used.', stats.liveInvocations),
    counter('ingot_store_corrupt_blobs_total', 'Damaged blobs met and put aside.', stats.corruptBlobs),
    counter('ingot_store_evicted_blobs_total', 'Blobs evicted to keep within the limit.', stats.evictedBlobs),
    counter('ingot_store_evicted_bytes_total', 'Bytes of evicted blobs.', stats.evictedBytes),
    counter(
      'ingot_store_refreshed_blobs_total',
      'Used records of old segments appended anew.',
      stats.refreshedBlobs,
    ),
    counter('ingot_store_scrubbed_bytes_total', 'Bytes read to find damaged ones.', stats.scrubbedBytes),
  ];
}
