const MIB = 1024 * 1024;

/**
 * Bytes of all blobs of one batch call; announced. The rest of a 4 MiB message, which is what gRPC clients and
 * servers take by default, is for some 5,000 digests and statuses.
 */
export const BATCH_TOTAL_BYTES_MAX = 3.5 * MIB;

/** Bytes of one answer of ours: beyond it a client with gRPC's default of 4 MiB would refuse it. */
export const RESPONSE_BYTES_MAX = 4 * MIB - 64 * 1024;

/** Digests of one FindMissingBlobs. A 4 MiB message holds 57,000; a server that takes larger ones stops here. */
export const FIND_MISSING_DIGESTS_MAX = 100_000;

/** Bytes inlined into one GetActionResult beyond those the result has anyway. */
export const INLINE_BYTES_MAX = 1 * MIB;

/** Chunks of one SpliceBlob: 24 GiB in chunks of 512 KiB. A 4 MiB message holds 57,000 digests. */
export const SPLICE_CHUNKS_MAX = 50_000;
