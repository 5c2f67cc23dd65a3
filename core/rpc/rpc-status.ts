import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import { Code, codeToJSON } from '../../proto/gen/google/rpc/code.ts';
import { PreconditionFailure } from '../../proto/gen/google/rpc/error_details.ts';
import { Status } from '../../proto/gen/google/rpc/status.ts';
import { IngotError, toIngotError } from '../error.ts';
import { detailsForClient, PRECONDITION_FAILURE_TYPE, packAny, unpackAny } from '../error-details.ts';

/** Trailer with the whole google.rpc.Status, details included. */
export const STATUS_DETAILS_TRAILER = 'grpc-status-details-bin';

// Java clients refuse trailers of more than 8 KiB in all, so the message and the base64 of the details share that.
const MESSAGE_BYTES_MAX = 1280;
/** Details of an RPC's status beyond this are cut; an answer that needs more must carry its status itself. */
export const STATUS_DETAILS_BYTES_MAX = 4096;
const DETAILS_MESSAGE_LENGTH_MAX = 256; // The message stands in the details once more; few clients look there.

/** The header fields that say how a call ended. */
export type StatusTrailers = Readonly<Record<string, string>>;

const CODE_MAX = 16;
const OK_TRAILERS: StatusTrailers = Object.freeze({ 'grpc-status': '0' });

/** The trailers that end a call: OK when there is no error. What does not fit 8 KiB is cut, the message visibly. */
export function statusTrailers(error: IngotError | undefined): StatusTrailers {
  if (error === undefined) return OK_TRAILERS;
  const code = error.code > 0 && error.code <= CODE_MAX ? error.code : Code.UNKNOWN;
  const trailers: Record<string, string> = {
    'grpc-status': String(code),
    'grpc-message': encodeMessage(error.message),
  };
  const details = detailsForClient(error);
  if (details.length > 0) {
    const message = error.message.slice(0, DETAILS_MESSAGE_LENGTH_MAX);
    const status = Status.encode({ code, message, details: fitDetails(details) }).finish();
    trailers[STATUS_DETAILS_TRAILER] = Buffer.from(status).toString('base64').replace(/=+$/, '');
  }
  return trailers;
}

/** Of one item of a batch that went well. */
export const okStatus: Status = Object.freeze({ code: Code.OK, message: '', details: [] });

/** The status of what failed, for a message with room for it; what is not an IngotError tells nothing of itself. */
export function statusOf(error: unknown): Status {
  const known = toIngotError(error);
  return { code: known.code, message: known.message, details: [...detailsForClient(known)] };
}

/** The error that a peer's status stands for; `detailsBin` are the bytes of {@link STATUS_DETAILS_TRAILER}. */
export function errorFromStatus(
  code: number,
  message: string,
  detailsBin: Uint8Array | undefined,
): IngotError {
  const known = code > 0 && code <= CODE_MAX ? (code as Code) : Code.UNKNOWN;
  return new IngotError(known, message === '' ? codeToJSON(known) : message, {
    details: decodeDetails(detailsBin),
  });
}

function decodeDetails(detailsBin: Uint8Array | undefined): readonly Any[] {
  if (detailsBin === undefined) return [];
  try {
    return Status.decode(detailsBin).details;
  } catch {
    // Safe: the code and the message stand without their details, and hiding them behind a decoding error would not.
    return [];
  }
}

/** Printable ASCII but for `%` as it is, all else as %XX of its UTF-8 bytes, as gRPC asks. */
function encodeMessage(message: string): string {
  if (message.length <= MESSAGE_BYTES_MAX && !/[^\x20-\x24\x26-\x7e]/.test(message)) return message;
  let encoded = '';
  for (const character of message) {
    const piece = /[\x20-\x24\x26-\x7e]/.test(character) ? character : percentEncode(character);
    if (encoded.length + piece.length > MESSAGE_BYTES_MAX) return `${encoded}...`;
    encoded += piece;
  }
  return encoded;
}

function percentEncode(character: string): string {
  return Buffer.from(character).toString('hex').toUpperCase().replace(/../g, '%$&');
}

/** As many details as fit; of the violations of a PreconditionFailure, the first ones. */
function fitDetails(details: readonly Any[]): Any[] {
  const fitting: Any[] = [];
  let room = STATUS_DETAILS_BYTES_MAX;
  for (const detail of details) {
    const fit = detailBytes(detail) <= room ? detail : firstViolations(detail, room);
    if (fit === undefined) continue;
    fitting.push(fit);
    room -= detailBytes(fit);
  }
  return fitting;
}

function firstViolations(detail: Any, room: number): Any | undefined {
  const failure = unpackFailure(detail);
  if (failure === undefined) return undefined;
  const average = detailBytes(detail) / failure.violations.length;
  for (let count = Math.ceil(room / average); count > 0; count--) {
    const violations = failure.violations.slice(0, count);
    const cut = packAny(PreconditionFailure, PRECONDITION_FAILURE_TYPE, { violations });
    if (detailBytes(cut) <= room) return cut;
  }
  return undefined;
}

/** A detail may have come from another server, so it may be no such message at all. */
function unpackFailure(detail: Any): PreconditionFailure | undefined {
  try {
    return unpackAny(PreconditionFailure, PRECONDITION_FAILURE_TYPE, detail);
  } catch {
    // Safe: what cannot be cut to size is left out, as other details are.
    return undefined;
  }
}

function detailBytes(detail: Any): number {
  return detail.typeUrl.length + detail.value.length;
}
