import { invalidArgument } from '../error.ts';

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1 / 1000,
  n: 1 / 1_000_000,
};

/** Reads a `grpc-timeout` header (1 to 8 digits and a unit) as milliseconds. INVALID_ARGUMENT when it is not one. */
export function parseTimeoutMs(header: string): number {
  const match = /^(\d{1,8})([HMSmun])$/.exec(header);
  const scale = unitMs[match?.[2] ?? ''];
  if (match === null || scale === undefined) {
    throw invalidArgument(
      `Read a gRPC call: its grpc-timeout is "${header.slice(0, 32)}", expected 1 to 8 digits and one of H M S m u n`,
    );
  }
  return Number(match[1]) * scale;
}
