import { resourceExhausted } from '../error.ts';
import { BUS_PAYLOAD_BYTES_MAX } from './message-bus.ts';

/** RESOURCE_EXHAUSTED when the payload is more than the bus carries; `what` says whose it is. */
export function checkBusPayload(payload: Uint8Array, what: string): void {
  if (payload.byteLength <= BUS_PAYLOAD_BYTES_MAX) return;
  throw resourceExhausted(
    `${what} has ${payload.byteLength} bytes, the message bus carries at most ${BUS_PAYLOAD_BYTES_MAX}`,
  );
}
