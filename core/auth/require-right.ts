import { type Caller, type Right, rights } from '../caller.ts';
import { type IngotError, permissionDenied } from '../error.ts';
import { quote } from '../quote.ts';

/** PERMISSION_DENIED unless the caller has one of the rights; `what` begins the message. */
export function requireRight(caller: Caller, oneOf: readonly Right[], what: string): void {
  if (oneOf.length === 0 || oneOf.some((right) => caller.rights.has(right))) return;
  throw refusal(caller, oneOf.join(' or '), what);
}

/** PERMISSION_DENIED unless the caller has every right there is: what nobody has made a rule for. */
export function requireAllRights(caller: Caller, what: string): void {
  const missing = rights.filter((right) => !caller.rights.has(right));
  if (missing.length > 0) throw refusal(caller, missing.join(' and '), what);
}

/** The same answer whether or not there is such an instance. */
export function requireInstance(caller: Caller, instanceName: string): void {
  if (mayUseInstance(caller, instanceName)) return;
  throw permissionDenied(`${caller.name} may not use the instance ${quote(instanceName)}`);
}

/** False for an instance that is not the caller's; what is in it does not exist for it. */
export function mayUseInstance({ instanceNames }: Caller, instanceName: string): boolean {
  return instanceNames === undefined || instanceNames.has(instanceName);
}

function refusal({ name }: Caller, missing: string, what: string): IngotError {
  return permissionDenied(`${what}: ${name} lacks the right ${missing}`);
}
