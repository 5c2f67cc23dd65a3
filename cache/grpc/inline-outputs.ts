import { Digest } from '../../core/digest.ts';
import { notFound } from '../../core/error.ts';
import { collectBytes } from '../../core/streams.ts';
import {
  ActionResult,
  type DigestFunction_Value,
  type Digest as DigestMessage,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import { INLINE_BYTES_MAX, RESPONSE_BYTES_MAX } from './cache-limits.ts';

/** What a client would like to have in the result itself. */
export interface InlineHints {
  readonly inlineStdout: boolean;
  readonly inlineStderr: boolean;
  /** Paths of output files. */
  readonly inlineOutputFiles: readonly string[];
}

/** What {@link inlineOutputs} needs besides the result. */
export interface InlineOptions extends BlobOptions {
  readonly store: BlobStore;
  readonly digestFunction: DigestFunction_Value;
}

const NO_BYTES = Buffer.alloc(0);

/**
 * The result with bytes put in where they are asked for and left out where they are not, as long as they are also in
 * the CAS. They are hints: what does not fit is left out. NOT_FOUND or DATA_LOSS when a blob turns out to be gone.
 */
export async function inlineOutputs(
  result: ActionResult,
  hints: InlineHints,
  options: InlineOptions,
): Promise<ActionResult> {
  const wanted = new Set(hints.inlineOutputFiles);
  const bare: ActionResult = {
    ...result,
    stdoutRaw: result.stdoutDigest === undefined ? result.stdoutRaw : NO_BYTES,
    stderrRaw: result.stderrDigest === undefined ? result.stderrRaw : NO_BYTES,
    outputFiles: result.outputFiles.map((file) => ({ ...file, contents: NO_BYTES })),
  };
  if (!hints.inlineStdout && !hints.inlineStderr && wanted.size === 0) return bare;
  const inliner = new Inliner(RESPONSE_BYTES_MAX - ActionResult.encode(bare).finish().byteLength, options);
  if (hints.inlineStdout) bare.stdoutRaw = await inliner.bytesOf(bare.stdoutDigest, bare.stdoutRaw);
  if (hints.inlineStderr) bare.stderrRaw = await inliner.bytesOf(bare.stderrDigest, bare.stderrRaw);
  for (const file of bare.outputFiles) {
    if (wanted.has(file.path)) file.contents = await inliner.bytesOf(file.digest, NO_BYTES);
  }
  return bare;
}

class Inliner {
  readonly #options: InlineOptions;
  #bytesLeft: number;

  constructor(bytesLeft: number, options: InlineOptions) {
    this.#bytesLeft = Math.min(bytesLeft, INLINE_BYTES_MAX);
    this.#options = options;
  }

  async bytesOf(message: DigestMessage | undefined, otherwise: Uint8Array): Promise<Uint8Array> {
    if (message === undefined) return otherwise;
    const { store, digestFunction, ...options } = this.#options;
    const digest = Digest.fromMessage(message, digestFunction);
    if (digest.sizeBytes > this.#bytesLeft) return otherwise;
    const source = await store.read(digest, undefined, options);
    if (source === undefined) throw notFound(`blob ${digest} is not here`);
    this.#bytesLeft -= digest.sizeBytes;
    return collectBytes(source, { bytesMax: digest.sizeBytes, what: `blob ${digest}` });
  }
}
