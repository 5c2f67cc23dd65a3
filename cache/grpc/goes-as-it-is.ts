import type { ActionResult } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { InlineHints } from './inline-outputs.ts';

/**
 * True when the answer is the result as it was filed: it carries no bytes that are also in the CAS, and none that it
 * could carry were asked for. So it is for most.
 */
export function goesAsItIs(result: ActionResult, hints: InlineHints): boolean {
  const { stdoutDigest, stdoutRaw, stderrDigest, stderrRaw, outputFiles } = result;
  if (stdoutDigest !== undefined && (stdoutRaw.length > 0 || hints.inlineStdout)) return false;
  if (stderrDigest !== undefined && (stderrRaw.length > 0 || hints.inlineStderr)) return false;
  return hints.inlineOutputFiles.length === 0 && outputFiles.every(({ contents }) => contents.length === 0);
}
