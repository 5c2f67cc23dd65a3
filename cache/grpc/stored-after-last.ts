import type { Digest } from '../../core/digest.ts';
import { invalidArgument } from '../../core/error.ts';
import type { WriteRequest } from '../../proto/gen/google/bytestream/bytestream.ts';

/** Waits for the store, after finish_write has come; INVALID_ARGUMENT when another message comes before the end. */
export async function storedAfterLast(
  stored: Promise<void>,
  digest: Digest,
  requests: AsyncIterator<WriteRequest, unknown>,
): Promise<void> {
  const more = requests.next().then(
    ({ done }) => (done ? stored : Promise.reject(afterTheLast(digest))),
    // The client is gone; the blob is stored all the same.
    () => stored,
  );
  await Promise.race([stored, more]);
}

function afterTheLast(digest: Digest) {
  return invalidArgument(`Write ${digest}: a message came after finish_write`);
}
