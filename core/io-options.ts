/** Every method that waits takes this. When `signal` aborts, its reason (always an IngotError) is thrown. */
export interface IoOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * Throws the reason of `signal` when it has aborted. Only where that can be told without the signal, which is dear for
   * a call that takes microseconds and is not made before someone asks for it; see `throwIfOver`.
   */
  readonly throwIfAborted?: (() => void) | undefined;
}
