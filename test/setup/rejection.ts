import { IngotError } from '../../core/error.ts';

/** The IngotError a promise is rejected with; anything else fails the test. */
export async function rejection(promise: Promise<unknown>): Promise<IngotError> {
  return expectIngotError(
    await promise.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    ),
  );
}

/** The IngotError a call throws; anything else fails the test. */
export function thrown(call: () => unknown): IngotError {
  try {
    return expectIngotError({ value: call() });
  } catch (error) {
    return expectIngotError({ error });
  }
}

function expectIngotError(outcome: { value: unknown } | { error: unknown }): IngotError {
  if ('value' in outcome) throw new Error(`expected an error, got ${String(outcome.value)}`);
  if (outcome.error instanceof IngotError) return outcome.error;
  throw outcome.error;
}
