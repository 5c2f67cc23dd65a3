/** A failure and what the person at the keyboard can do about it; the failure itself is the cause. */
export class HintedError extends Error {
  readonly hint: string;

  constructor(cause: Error, hint: string) {
    super(cause.message, { cause });
    this.name = 'HintedError';
    this.hint = hint;
  }
}
