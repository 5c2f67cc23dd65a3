import { HintedError } from '../../../cli/hinted-error.ts';

/** The message and hint a promise is rejected with; anything but a HintedError fails the test. */
export async function hinted(promise: Promise<unknown>): Promise<{ message: string; hint: string }> {
  const outcome = await promise.then(
    (value) => new Error(`expected an error, got ${String(value)}`),
    (error: unknown) => error,
  );
  if (!(outcome instanceof HintedError)) throw outcome;
  return { message: outcome.message, hint: outcome.hint };
}
