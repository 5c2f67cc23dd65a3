import { type IngotError, notFound } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';

/** What is said of an operation that is not there, and word for word of one that is not the caller's. */
export function unknownOperation(name: string): IngotError {
  return notFound(`operation ${quote(name)} is not known, or was forgotten after its end`);
}
