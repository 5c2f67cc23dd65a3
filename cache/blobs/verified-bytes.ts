import { type Digest, DigestHasher } from '../../core/digest.ts';
import { dataLoss } from '../../core/error.ts';

/**
 * The bytes of a whole blob, hashed as they pass. The chunk with the last byte is yielded only when size and hash
 * are the digest's; else `onMismatch` is called and DATA_LOSS thrown. So no reader ever finishes with wrong bytes.
 */
export async function* verifiedBytes(
  digest: Digest,
  source: AsyncIterable<Uint8Array>,
  onMismatch: () => Promise<void> | void = () => undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hasher = new DigestHasher(digest.digestFunction);
  let ended = false;
  for await (const chunk of source) {
    if (chunk.byteLength === 0) continue;
    if (ended || hasher.sizeBytes + chunk.byteLength > digest.sizeBytes) {
      await onMismatch();
      throw dataLoss(`Read ${digest}: it has more than ${digest.sizeBytes} bytes`);
    }
    hasher.update(chunk);
    if (hasher.sizeBytes === digest.sizeBytes) {
      ended = true;
      const { hash } = hasher.digest();
      if (hash !== digest.hash) {
        await onMismatch();
        throw dataLoss(`Read ${digest}: its bytes have the hash ${hash}`);
      }
    }
    yield chunk;
  }
  if (hasher.sizeBytes < digest.sizeBytes) {
    await onMismatch();
    throw dataLoss(`Read ${digest}: it ends after ${hasher.sizeBytes} bytes`);
  }
}
