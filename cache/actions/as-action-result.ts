import { ActionResult } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/**
 * The action result that the bytes are, or undefined when they are something else. They must be exactly what
 * encoding the result gives, so that nothing of a value is lost, and say more than an exit code: any few bytes can
 * pass for that.
 */
export function asActionResult(bytes: Uint8Array): ActionResult | undefined {
  let result: ActionResult;
  try {
    result = ActionResult.decode(bytes);
  } catch {
    // Not that message: an opaque value, as any other bytes would be.
    return undefined;
  }
  const saysMore =
    result.executionMetadata !== undefined ||
    result.stdoutDigest !== undefined ||
    result.stderrDigest !== undefined ||
    result.outputFiles.length + result.outputDirectories.length + result.outputSymlinks.length > 0;
  if (!saysMore) return undefined;
  return Buffer.compare(ActionResult.encode(result).finish(), bytes) === 0 ? result : undefined;
}
