import type { BlobOptions, BlobStore } from '../../cache/blob-store.ts';
import { decodeMessage, type ReaderCodec } from '../../core/decode-message.ts';
import type { Digest } from '../../core/digest.ts';
import { invalidArgument, isIngotError, wrap } from '../../core/error.ts';
import { collectBytes } from '../../core/streams.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';

/** Largest Action or Command. Command lines beyond a few hundred KiB do not run on Linux at all. */
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;

/** A message a client uploaded, or undefined when it is absent. `what` names it in errors: `action`, `command`. */
export async function readMessage<T>(
  store: BlobStore,
  digest: Digest,
  codec: ReaderCodec<T>,
  what: string,
  options: BlobOptions = {},
): Promise<T | undefined> {
  const named = `${what} ${digest}`;
  if (digest.sizeBytes > MESSAGE_BYTES_MAX) {
    throw invalidArgument(`${named} is too large, at most ${MESSAGE_BYTES_MAX} bytes are accepted`);
  }
  try {
    const source = await store.read(digest, undefined, options);
    if (source === undefined) return undefined;
    const bytes = await collectBytes(source, { bytesMax: digest.sizeBytes, what: named });
    return decodeMessage(codec, bytes, named);
  } catch (error) {
    // A damaged blob is taken out of its store when that is found: from now on it is absent.
    if (isIngotError(error, Code.DATA_LOSS)) return undefined;
    if (isIngotError(error, Code.INVALID_ARGUMENT)) throw error;
    throw wrap(error, `Fetch ${named}`);
  }
}
