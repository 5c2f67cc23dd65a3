import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { Status } from '../../../proto/gen/google/rpc/status.ts';

const NOTHING = new Uint8Array();

/** The status of an item of a batch, encoded; that of one that went well, as most do, is no bytes. */
export function statusBytes(status: Status): Uint8Array {
  const { code, message, details } = status;
  if (code === Code.OK && message === '' && details.length === 0) return NOTHING;
  return Status.encode(status).finish();
}
