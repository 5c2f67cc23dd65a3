import type { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { OperationRecord } from '../../proto/gen/ingot/v1/journal.ts';

/** What two requests must have in common to share one run. */
export type JoinFacts = Pick<
  OperationRecord,
  'instanceName' | 'digestFunction' | 'actionDigest' | 'doNotCache'
>;

/** Equal for requests that may share a run; undefined for `do_not_cache`, which never may. */
export function joinKeyOf({
  instanceName,
  digestFunction,
  actionDigest,
  doNotCache,
}: JoinFacts): string | undefined {
  if (doNotCache || actionDigest === undefined) return undefined;
  return runKey(instanceName, digestFunction, actionDigest);
}

/** The same for an action not read yet, of which it is not known whether it may be shared. */
export function runKey(
  instanceName: string,
  digestFunction: DigestFunction_Value,
  { hash, sizeBytes }: { readonly hash: string; readonly sizeBytes: number },
): string {
  // An instance name holds no space, and neither do the rest, so that keys cannot be confused: it comes last.
  return `${digestFunction} ${hash} ${sizeBytes} ${instanceName}`;
}
