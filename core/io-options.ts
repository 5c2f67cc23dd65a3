/** Every method that waits takes this. When `signal` aborts, its reason (always an IngotError) is thrown. */
export interface IoOptions {
  readonly signal?: AbortSignal | undefined;
}
