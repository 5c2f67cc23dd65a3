import { counter, gauge, type MetricFamily } from '../../core/metrics/metric-family.ts';

/** What a blob store on disk tells of itself. */
export interface StoreNumbers {
  readonly blobs: number;
  readonly storedBytes: number;
  /** Met since the start. */
  readonly corruptBlobs: number;
}

/** What a store holds, as Prometheus sees it. */
export function storeMetrics({ blobs, storedBytes, corruptBlobs }: StoreNumbers): MetricFamily[] {
  return [
    gauge('ingot_store_blobs', 'Blobs in the store.', blobs),
    gauge('ingot_store_bytes', 'Bytes of the store on disk.', storedBytes),
    counter('ingot_store_corrupt_blobs_total', 'Damaged blobs met and put aside.', corruptBlobs),
  ];
}
