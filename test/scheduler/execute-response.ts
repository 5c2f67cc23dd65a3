import {
  ActionResult,
  ExecuteResponse,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/** The response of a command that ran; `message` tells one from another. */
export function executeResponse(message = 'ran', exitCode = 0): ExecuteResponse {
  return ExecuteResponse.create({ result: ActionResult.create({ exitCode }), message });
}
