import type { MessageCodec } from '../../../core/rpc/rpc-service.ts';
import { ActionResult } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { FiledResult } from '../../actions/filed-result.ts';
import { messageParts } from './message-parts.ts';

/** The generated codec, but a result that goes out as it was filed is not encoded anew. */
export const actionResultResponse: MessageCodec<ActionResult> = {
  encode: ActionResult.encode,
  decode: ActionResult.decode,
  encodeParts: (result) =>
    messageParts(result instanceof FiledResult ? result.encoded : ActionResult.encode(result).finish()),
};
