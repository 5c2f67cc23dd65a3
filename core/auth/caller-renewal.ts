import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { Caller } from '../caller.ts';
import { type IngotError, isIngotError, unauthenticated } from '../error.ts';
import type { Authenticator } from './authenticator.ts';
import type { ClientCertificate } from './client-certificate.ts';
import { isSameCaller } from './same-caller.ts';

/** How often the credentials of open calls are looked at again. */
export const RENEWAL_MS = 1000;

/** A call that is open, with what it was let in by. */
export interface RenewableCall {
  readonly authorization: string | undefined;
  readonly certificate: ClientCertificate | undefined;
  readonly caller: Caller;
  /** Called when the caller may not go on. */
  end(reason: IngotError): void;
}

/**
 * Looks whether an open call's credential is still good and means the same; ends the call otherwise. One that cannot be
 * looked at for now (an identity provider is away) goes on until it can.
 */
export function renewCaller(authenticator: Authenticator, call: RenewableCall): void {
  const compare = (caller: Caller): void => {
    if (!isSameCaller(caller, call.caller)) {
      call.end(unauthenticated(`what ${call.caller.name} may do has changed since the call began`));
    }
  };
  const fail = (error: unknown): void => {
    if (isIngotError(error, Code.UNAUTHENTICATED)) call.end(error);
  };
  try {
    const outcome = authenticator.authenticate(call.authorization, call.certificate);
    if (outcome instanceof Promise) void outcome.then(compare, fail);
    else compare(outcome);
  } catch (error) {
    fail(error);
  }
}
