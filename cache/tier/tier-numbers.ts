/** What the tier counts since start, and what it holds now; for /status and /metrics. */
export interface TierNumbers {
  /** Blobs and action results read from the object store. */
  fetched: number;
  fetchedBytes: number;
  /** Objects that were not what their name says. */
  damaged: number;
  /** Questions answered as if the object store had nothing, since it did not answer. */
  unanswered: number;
  uploaded: number;
  uploadedBytes: number;
  /** Tries to upload that failed and are repeated. */
  retried: number;
  /** Uploads given up because this node no longer has the bytes. */
  lost: number;
}

/** The numbers, and how the tier is now. */
export interface TierStatus extends Readonly<TierNumbers> {
  readonly queued: number;
  readonly queuedBytes: number;
  /** The object store is taken for away. */
  readonly isAway: boolean;
}

/** All zero. */
export function newTierNumbers(): TierNumbers {
  return {
    fetched: 0,
    fetchedBytes: 0,
    damaged: 0,
    unanswered: 0,
    uploaded: 0,
    uploadedBytes: 0,
    retried: 0,
    lost: 0,
  };
}
