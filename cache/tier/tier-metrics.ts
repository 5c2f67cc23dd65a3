import { counter, gauge, type MetricFamily } from '../../core/metrics/metric-family.ts';
import type { TierStatus } from './tier-numbers.ts';

/** A tier's numbers for Prometheus. */
export function tierMetrics(status: TierStatus): MetricFamily[] {
  return [
    counter('ingot_tier_fetched_total', 'Blobs and results read from the object store.', status.fetched),
    counter('ingot_tier_fetched_bytes_total', 'Bytes read from the object store.', status.fetchedBytes),
    counter('ingot_tier_damaged_total', 'Objects that were not what their name says.', status.damaged),
    counter(
      'ingot_tier_unanswered_total',
      'Questions answered as if the object store had nothing, since it did not answer.',
      status.unanswered,
    ),
    counter('ingot_tier_uploaded_total', 'Objects uploaded.', status.uploaded),
    counter('ingot_tier_uploaded_bytes_total', 'Bytes uploaded.', status.uploadedBytes),
    counter(
      'ingot_tier_upload_retries_total',
      'Tries to upload that failed and are repeated.',
      status.retried,
    ),
    counter('ingot_tier_lost_total', 'Uploads given up because their bytes are gone here.', status.lost),
    gauge('ingot_tier_queued', 'Uploads that are pending.', status.queued),
    gauge('ingot_tier_queued_bytes', 'Bytes that are to be uploaded.', status.queuedBytes),
    gauge('ingot_tier_away', '1 while the object store is taken for away.', status.isAway ? 1 : 0),
  ];
}
