import { Http2Error } from './http2-error.ts';
import { buildHuffmanStates } from './huffman-code.ts';
import { ErrorCode } from './protocol.ts';

const { steps, mayEnd } = buildHuffmanStates();
const SHORTEST_CODE_BITS = 5;
const HAS_SYMBOL = 0x100;

/** Decodes one HPACK string in the Huffman code, as Latin-1. Throws COMPRESSION_ERROR where it is none. */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string {
  const decoded = Buffer.allocUnsafe(Math.ceil(((end - start) * 8) / SHORTEST_CODE_BITS));
  let length = 0;
  let state = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    const high = steps[(state << 4) | (byte >>> 4)] ?? -1;
    const low = high < 0 ? -1 : (steps[((high >>> 9) << 4) | (byte & 15)] ?? -1);
    if (low < 0) throw new Http2Error(ErrorCode.compressionError, 'a Huffman string has an end inside');
    if ((high & HAS_SYMBOL) !== 0) decoded[length++] = high & 0xff;
    if ((low & HAS_SYMBOL) !== 0) decoded[length++] = low & 0xff;
    state = low >>> 9;
  }
  if (mayEnd[state] !== 1) {
    throw new Http2Error(ErrorCode.compressionError, 'a Huffman string ends inside a character');
  }
  return decoded.toString('latin1', 0, length);
}
