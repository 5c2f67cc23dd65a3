import { FastCdc } from './fast-cdc.ts';
import type { FastCdcParams } from './fast-cdc-params.ts';

/** The stream's chunks, each in one piece of memory, at most `maxBytes` long. */
export async function* cutStream(
  source: AsyncIterable<Uint8Array>,
  params: FastCdcParams,
): AsyncGenerator<Uint8Array, void, undefined> {
  const chunker = new FastCdc(params);
  /** What has come and is in no chunk yet; `start` is its offset in the stream. */
  let pieces: Uint8Array[] = [];
  let start = 0;
  for await (const bytes of source) {
    if (bytes.byteLength === 0) continue;
    pieces.push(bytes);
    for (const end of chunker.push(bytes)) {
      const [chunk, rest] = splitPieces(pieces, end - start);
      yield chunk;
      pieces = rest;
      start = end;
    }
  }
  if (chunker.end() !== undefined) yield inOnePiece(pieces);
}

/** The first so many bytes in one piece, and the rest. */
function splitPieces(pieces: readonly Uint8Array[], length: number): [Uint8Array, Uint8Array[]] {
  const taken: Uint8Array[] = [];
  let wanted = length;
  for (const [index, piece] of pieces.entries()) {
    if (piece.byteLength < wanted) {
      taken.push(piece);
      wanted -= piece.byteLength;
      continue;
    }
    taken.push(piece.subarray(0, wanted));
    const rest = piece.subarray(wanted);
    return [inOnePiece(taken), [...(rest.byteLength > 0 ? [rest] : []), ...pieces.slice(index + 1)]];
  }
  return [inOnePiece(taken), []];
}

function inOnePiece(pieces: readonly Uint8Array[]): Uint8Array {
  const [first = new Uint8Array(), ...others] = pieces;
  return others.length === 0 ? first : Buffer.concat(pieces);
}
