import type { ExecuteResponse } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

const NO_BYTES = Buffer.alloc(0);

/** The response without the bytes it carries for convenience; only those that can be read from the CAS are taken out. */
export function withoutInlined(response: ExecuteResponse): ExecuteResponse {
  const { result } = response;
  if (result === undefined) return response;
  return {
    ...response,
    result: {
      ...result,
      stdoutRaw: result.stdoutDigest === undefined ? result.stdoutRaw : NO_BYTES,
      stderrRaw: result.stderrDigest === undefined ? result.stderrRaw : NO_BYTES,
      outputFiles: result.outputFiles.map((file) => ({ ...file, contents: NO_BYTES })),
    },
  };
}
