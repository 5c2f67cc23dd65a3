import { toIngotError } from '../../core/error.ts';
import { detailsForClient } from '../../core/error-details.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { Status } from '../../proto/gen/google/rpc/status.ts';

/** The status of one item of a batch that went well. */
export const okStatus: Status = Object.freeze({ code: Code.OK, message: '', details: [] });

/** The status of one item of a batch that failed; what is not an IngotError tells nothing of itself. */
export function statusOf(error: unknown): Status {
  const known = toIngotError(error);
  return { code: known.code, message: known.message, details: [...detailsForClient(known)] };
}
