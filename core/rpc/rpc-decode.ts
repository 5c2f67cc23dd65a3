import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { MessageCodec } from './rpc-service.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const decodeUtf8 = (bytes: Uint8Array): string => utf8.decode(bytes);

/**
 * Decodes the one message that these bytes are. Throws when they are not: bytes left over, or a string that is not
 * UTF-8, which a codec by itself repairs in silence (and a repaired name is another name).
 */
export function decodeStrictly<T>(codec: MessageCodec<T>, bytes: Uint8Array): T {
  if (codec.decodeWhole !== undefined) return codec.decodeWhole(bytes);
  const reader = new BinaryReader(bytes, decodeUtf8);
  const message = codec.decode(reader);
  if (reader.pos !== reader.len) {
    throw new Error(`the message ends after ${reader.pos} of ${reader.len} bytes`);
  }
  return message;
}
