import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { IngotError } from '../error.ts';
import type { Logger } from '../log/logger.ts';

/** A call as the audit log tells of it; nothing in it is secret. */
export interface RefusedCall {
  /** `/package.Service/Method`, or `PUT /cas`. */
  readonly method: string;
  /** The caller's name, where it is known. */
  readonly caller: string | undefined;
  /** The instance name it asked for, where the refused request has one. */
  readonly instance: string | undefined;
  /** The client's address. */
  readonly peer: string;
}

/** Logs a call that ended for want of a credential or a right; other errors are none of the audit log's business. */
export function auditRefusal(logger: Logger, call: RefusedCall, { code, message }: IngotError): void {
  if (code !== Code.UNAUTHENTICATED && code !== Code.PERMISSION_DENIED) return;
  logger.warn({ ...call, reason: message }, 'a call was refused');
}
