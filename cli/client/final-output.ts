import { createHash } from 'node:crypto';
import type { BlobStore } from '../../cache/blob-store.ts';
import { Digest } from '../../core/digest.ts';
import { dataLoss } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { bytesOf } from '../../core/streams.ts';
import type { Digest as DigestMessage } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { ShownOutput } from './log-follower.ts';

/** stdout or stderr as an ActionResult holds it: inline, by digest, or neither when there was none. */
export interface FinalOutput {
  readonly raw: Uint8Array;
  readonly digest: DigestMessage | undefined;
}

interface ShowRestOptions extends IoOptions {
  readonly store: BlobStore;
  readonly write: (bytes: Uint8Array) => Promise<void>;
  /** Called before everything is shown again, when what was shown live is not how the output begins. */
  readonly onDifferent: () => void;
}

/** Shows what of a final output was not shown live, so that in the end all of it was. */
export async function showRest(
  output: FinalOutput,
  shown: ShownOutput,
  options: ShowRestOptions,
): Promise<void> {
  let skipBytes = shown.sizeBytes;
  if (skipBytes > 0 && !(await beginsWith(output, shown, options))) {
    options.onDifferent();
    skipBytes = 0;
  }
  for await (const chunk of await open(output, options)) {
    const skipped = Math.min(skipBytes, chunk.byteLength);
    skipBytes -= skipped;
    if (skipped < chunk.byteLength) await options.write(chunk.subarray(skipped));
  }
}

async function beginsWith(
  output: FinalOutput,
  shown: ShownOutput,
  options: ShowRestOptions,
): Promise<boolean> {
  const hash = createHash('sha256');
  let leftBytes = shown.sizeBytes;
  for await (const chunk of await open(output, options)) {
    hash.update(chunk.subarray(0, leftBytes));
    leftBytes -= Math.min(leftBytes, chunk.byteLength);
    if (leftBytes === 0) break;
  }
  return leftBytes === 0 && hash.digest('hex') === shown.sha256;
}

async function open(
  { raw, digest: message }: FinalOutput,
  { store, signal }: ShowRestOptions,
): Promise<AsyncIterable<Uint8Array>> {
  if (raw.byteLength > 0 || message === undefined) return bytesOf(raw);
  const digest = Digest.fromMessage(message);
  const bytes = await store.read(digest, undefined, { signal });
  if (bytes === undefined)
    throw dataLoss(`read output ${digest}: the farm names it in a result and does not have it`);
  return bytes;
}
