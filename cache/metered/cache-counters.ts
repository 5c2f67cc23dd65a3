import { counter, type MetricFamily } from '../../core/metrics/metric-family.ts';
import type { MetricSource } from '../../core/metrics/metric-source.ts';

/** What clients and workers asked of a cache since its start. The metered decorators count, everyone may read. */
export class CacheCounters implements MetricSource {
  blobsFound = 0;
  blobsMissing = 0;
  readonly reads = { hit: 0, miss: 0, error: 0 };
  readBytes = 0;
  readonly writes = { ok: 0, refused: 0, error: 0 };
  writtenBytes = 0;
  /** Why the newest write failed, unless that was the client's fault; undefined when it went well. */
  writeProblem: string | undefined;
  readonly actionReads = { hit: 0, miss: 0, error: 0 };
  readonly actionWrites = { ok: 0, error: 0 };

  /** Of all lookups of action results those that had one; undefined before the first. */
  get actionHitRate(): number | undefined {
    const { hit, miss } = this.actionReads;
    return hit + miss === 0 ? undefined : hit / (hit + miss);
  }

  /** The numbers that matter to a person, for /status. */
  summary() {
    const { blobsFound, blobsMissing, reads, readBytes, writes, writtenBytes, actionReads } = this;
    return {
      actionCache: { ...actionReads, hitRate: this.actionHitRate ?? null },
      blobs: { found: blobsFound, missing: blobsMissing, reads, readBytes, writes, writtenBytes },
    };
  }

  metrics(): MetricFamily[] {
    const { blobsFound, blobsMissing } = this;
    return [
      counter('ingot_blobs_looked_up_total', 'Digests asked about by FindMissingBlobs and the HTTP views.', [
        { labels: { outcome: 'found' }, value: blobsFound },
        { labels: { outcome: 'missing' }, value: blobsMissing },
      ]),
      counter('ingot_blob_reads_total', 'Blobs read, whole or in part.', byOutcome(this.reads)),
      counter('ingot_blob_read_bytes_total', 'Bytes of blobs handed out.', this.readBytes),
      counter(
        'ingot_blob_writes_total',
        'Blobs written; refused are those that were the fault of their client.',
        byOutcome(this.writes),
      ),
      counter('ingot_blob_written_bytes_total', 'Bytes of blobs taken in.', this.writtenBytes),
      counter('ingot_action_cache_reads_total', 'Action results asked for.', byOutcome(this.actionReads)),
      counter('ingot_action_cache_writes_total', 'Action results filed.', byOutcome(this.actionWrites)),
    ];
  }
}

function byOutcome(counts: Readonly<Record<string, number>>) {
  return Object.entries(counts).map(([outcome, value]) => ({ labels: { outcome }, value }));
}
