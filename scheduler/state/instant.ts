/** A moment as the scheduler's state machine is told it. */
export interface Instant {
  /** Milliseconds of a clock that never steps back. Every decision is made by it. */
  readonly monotonicMs: number;
  /** Milliseconds since 1970, right or wrong. Only written into records, never compared. */
  readonly wallMs: number;
}
