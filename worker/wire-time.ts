import type { Duration } from '../proto/gen/google/protobuf/duration.ts';
import type { Timestamp } from '../proto/gen/google/protobuf/timestamp.ts';

const MS_PER_SECOND = 1000;
const NANOS_PER_MS = 1e6;

/** A point in time, given in milliseconds since 1970, as messages carry it. */
export function timestampOf(unixMs: number): Timestamp {
  const seconds = Math.floor(unixMs / MS_PER_SECOND);
  return { seconds, nanos: Math.floor((unixMs - seconds * MS_PER_SECOND) * NANOS_PER_MS) };
}

/** A length of time, not below zero, as messages carry it. */
export function durationOf(ms: number): Duration {
  return timestampOf(ms);
}

/** Milliseconds of a Duration. */
export function millisecondsOf({ seconds, nanos }: Duration): number {
  return seconds * MS_PER_SECOND + nanos / NANOS_PER_MS;
}
