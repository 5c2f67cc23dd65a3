import { headers, type MsgHdrs } from '@nats-io/transport-node';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { Status } from '../../proto/gen/google/rpc/status.ts';
import { IngotError, internal } from '../error.ts';
import type { BusReply } from './bus-handler-runner.ts';
import { BUS_PAYLOAD_BYTES_MAX } from './message-bus.ts';

/** Marks a reply whose payload is a google.rpc.Status, in place of what was asked for; its value is the code. */
const CODE_HEADER = 'Ingot-Code';

/** Longest error message that goes with its details; only a runaway one is longer. */
const MESSAGE_CHARACTERS_MAX = 64 * 1024;

/** A reply as NATS carries it. */
export interface NatsReply {
  readonly data: Uint8Array;
  readonly headers?: MsgHdrs;
}

/** A reply, or the error in its place, for NATS to carry. Details that do not fit are left out. */
export function encodeNatsReply(reply: BusReply): NatsReply {
  if ('payload' in reply) return { data: reply.payload };
  const { code, message, details } = reply.error;
  const cut = message.slice(0, MESSAGE_CHARACTERS_MAX);
  let data = Status.encode({ code, message: cut, details: [...details] }).finish();
  if (data.byteLength > BUS_PAYLOAD_BYTES_MAX) {
    data = Status.encode({ code, message: cut, details: [] }).finish();
  }
  const marked = headers();
  marked.set(CODE_HEADER, String(code));
  return { data, headers: marked };
}

/** The payload of a reply; throws the error it carries, when it carries one. */
export function decodeNatsReply(reply: {
  readonly data: Uint8Array;
  readonly headers?: MsgHdrs | undefined;
}): Uint8Array {
  if (reply.headers?.has(CODE_HEADER) !== true) return reply.data;
  let status: Status;
  try {
    status = Status.decode(reply.data);
  } catch (cause) {
    throw internal('the error in a bus reply is not a well-formed message', { cause });
  }
  const known = Object.values(Code).find((code) => code === status.code && code > Code.OK);
  throw new IngotError(known ?? Code.UNKNOWN, status.message, { details: status.details });
}
