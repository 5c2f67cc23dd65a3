/** What one check of `ingot doctor` saw. */
export interface Finding {
  /** What was looked at, in a few words: `bubblewrap`. Stable, for programs. */
  readonly check: string;
  /**
   * `ok`; `missing` when a farm cannot run here as it should until it is mended; `note` when it can, and something
   * is slower, weaker or not possible.
   */
  readonly status: 'ok' | 'missing' | 'note';
  /** What was seen, and what follows from it. */
  readonly detail: string;
  /** The command, or the sentence, that mends it. */
  readonly fix?: string;
}
