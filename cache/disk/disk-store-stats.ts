/** What a disk blob store holds now, and what became of blobs since start; plain numbers, for views to show. */
export interface DiskStoreStats {
  readonly blobs: number;
  /** Bytes of segments and files. */
  readonly storedBytes: number;
  readonly limitBytes: number;
  readonly segments: number;
  /** Builds that hold blobs. */
  readonly liveInvocations: number;
  readonly corruptBlobs: number;
  readonly evictedBlobs: number;
  readonly evictedBytes: number;
  /** Records of old segments that were used, and so appended anew. */
  readonly refreshedBlobs: number;
  /** Bytes read in the background to find damage. */
  readonly scrubbedBytes: number;
  /** Times that everything was. */
  readonly scrubRounds: number;
}
