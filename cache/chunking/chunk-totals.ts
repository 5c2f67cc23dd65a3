/** What became of the chunks that were cut for writing; for whoever shows how an upload goes. */
export class ChunkTotals {
  /** Bytes of chunks the store lacked, and was sent. */
  sentBytes = 0;
  /** Bytes of chunks it had. */
  presentBytes = 0;
  /** Called after each change. */
  onChange: (() => void) | undefined;

  add({ sentBytes, presentBytes }: { readonly sentBytes: number; readonly presentBytes: number }): void {
    this.sentBytes += sentBytes;
    this.presentBytes += presentBytes;
    this.onChange?.();
  }
}
