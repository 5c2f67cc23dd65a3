import type { FileHandle } from 'node:fs/promises';

/** Writes all chunks, `sizeBytes` in all, from the position on. */
export async function writeFully(
  handle: FileHandle,
  chunks: readonly Uint8Array[],
  { sizeBytes, position }: { readonly sizeBytes: number; readonly position: number },
): Promise<void> {
  let { bytesWritten } = await handle.writev(chunks, position);
  if (bytesWritten === sizeBytes) return;
  // A short write, as a nearly full disk gives: one goes on until all is written or an error says why not.
  const bytes = Buffer.concat(chunks, sizeBytes);
  while (bytesWritten < sizeBytes) {
    const rest = bytes.subarray(bytesWritten);
    bytesWritten += (await handle.write(rest, 0, rest.byteLength, position + bytesWritten)).bytesWritten;
  }
}
