import type { Duration } from '../../proto/gen/google/protobuf/duration.ts';
import type { Timestamp } from '../../proto/gen/google/protobuf/timestamp.ts';

/** A protobuf timestamp from milliseconds since 1970. */
export function timestampOf(wallMs: number): Timestamp {
  const seconds = Math.floor(wallMs / 1000);
  return { seconds, nanos: Math.round((wallMs - seconds * 1000) * 1e6) };
}

/** Milliseconds since 1970; 0 for none. */
export function wallMsOf(timestamp: Timestamp | undefined): number {
  return timestamp === undefined ? 0 : timestamp.seconds * 1000 + timestamp.nanos / 1e6;
}

/** A protobuf duration in milliseconds; undefined for none. */
export function durationMsOf(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : duration.seconds * 1000 + duration.nanos / 1e6;
}

/** A protobuf duration from milliseconds. */
export function durationOf(ms: number): Duration {
  const seconds = Math.trunc(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}
