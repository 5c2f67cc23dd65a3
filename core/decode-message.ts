import { BinaryReader } from '@bufbuild/protobuf/wire';
import { invalidArgument } from './error.ts';

/** Decodes a message from a reader; what ts-proto generates fits. */
export interface ReaderCodec<T> {
  decode(input: BinaryReader | Uint8Array, length?: number): T;
}

/**
 * Decodes bytes a client wrote; INVALID_ARGUMENT when they are not that message. Unlike the codec by itself it
 * refuses strings that are not UTF-8, in place of repairing them in silence: a repaired file name is another file.
 */
export function decodeMessage<T>(codec: ReaderCodec<T>, bytes: Uint8Array, what: string): T {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const reader = new BinaryReader(bytes, (text) => decoder.decode(text));
  let message: T;
  try {
    message = codec.decode(reader);
  } catch (cause) {
    throw invalidArgument(`${what} is not a well-formed message`, { cause });
  }
  // The codec stops, without a word, at a zero byte where a field should begin: a file of zeros would be an empty message.
  if (reader.pos !== bytes.byteLength) {
    throw invalidArgument(
      `${what} is not a well-formed message: it ends at byte ${reader.pos} of ${bytes.byteLength}`,
    );
  }
  return message;
}
