import { spawn } from 'node:child_process';
import { buffer } from 'node:stream/consumers';
import { constants, createZstdCompress, zstdCompressSync } from 'node:zlib';
import { Digest } from '../../../core/digest.ts';
import { sampleBytes } from '../bytes.ts';

/** Bytes that compress to about a third, the same for the same arguments. */
export function compressibleBytes(sizeBytes: number, seed = 0): Buffer {
  const words = sampleBytes(4096, seed).toString('hex').match(/.{4}/g) ?? [];
  const picks = sampleBytes(Math.ceil(sizeBytes / 5) + 1, seed + 1);
  const text = Buffer.alloc(picks.length * 5);
  for (const [index, pick] of picks.entries()) text.write(`${words[pick]} `, index * 5);
  return text.subarray(0, sizeBytes);
}

/** The same with its digest. */
export function compressibleBlob(sizeBytes: number, seed = 0) {
  const bytes = compressibleBytes(sizeBytes, seed);
  return { bytes, digest: Digest.ofBytes(bytes) };
}

/** A frame, as a client makes it that has the whole blob. */
export function zstdFrame(bytes: Uint8Array, level = 3): Buffer {
  return zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: level } });
}

/** A frame that does not say how much it holds, with a window of this power of two. */
export async function streamedFrame(bytes: Uint8Array, windowLog = 21): Promise<Buffer> {
  const encoder = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: windowLog } });
  encoder.end(bytes);
  return buffer(encoder);
}

/** What the real `zstd` program makes of the bytes. */
export async function runZstd(options: readonly string[], input: Uint8Array): Promise<Buffer> {
  const child = spawn('zstd', [...options, '--stdout', '-'], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(input);
  const [output, [code]] = await Promise.all([
    buffer(child.stdout),
    new Promise<[number | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status) => resolve([status]));
    }),
  ]);
  if (code !== 0) throw new Error(`zstd ${options.join(' ')} ended with ${code}`);
  return output;
}
