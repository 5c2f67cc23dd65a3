import { createCipheriv } from 'node:crypto';
import type { BlobStore, ByteRange } from '../../cache/blob-store.ts';
import { Digest } from '../../core/digest.ts';

/** Bytes that look random and are the same each time; different seeds give different bytes. */
export function sampleBytes(sizeBytes: number, seed = 0): Buffer {
  const key = Buffer.alloc(32, `seed ${seed}`);
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}

/** The same with its digest. */
export function sampleBlob(sizeBytes: number, seed = 0): { readonly bytes: Buffer; readonly digest: Digest } {
  const bytes = sampleBytes(sizeBytes, seed);
  return { bytes, digest: Digest.ofBytes(bytes) };
}

/** A source that yields the bytes in pieces. */
export async function* inPieces(bytes: Uint8Array, pieceBytes = 10_000): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    yield bytes.subarray(start, start + pieceBytes);
  }
}

/** All bytes a store gives for a blob, or undefined. */
export async function readAll(
  store: BlobStore,
  digest: Digest,
  range?: ByteRange,
): Promise<Buffer | undefined> {
  const source = await store.read(digest, range);
  if (source === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}
