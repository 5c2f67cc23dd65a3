import { open } from 'node:fs/promises';
import type { BlobStore } from '../../cache/blob-store.ts';
import { Digest, DigestHasher } from '../../core/digest.ts';
import { dataLoss, notFound } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { bytesOf, hashing } from '../../core/streams.ts';
import type { Digest as DigestMessage } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

interface WriteBlobFileOptions extends IoOptions {
  readonly isExecutable: boolean;
  /** The bytes, where a result carries them inline. */
  readonly contents?: Uint8Array;
}

/**
 * Writes a blob to a new file, with the bits the process's umask leaves. DATA_LOSS when the bytes that came are
 * not the digest's; the caller stages the file, so that a bad one is never seen.
 */
export async function writeBlobFile(
  store: BlobStore,
  message: DigestMessage | undefined,
  path: string,
  { isExecutable, contents, signal }: WriteBlobFileOptions,
): Promise<void> {
  const digest = Digest.fromMessage(message);
  const inline = contents !== undefined && contents.byteLength > 0;
  const source =
    inline || digest.isEmpty
      ? bytesOf(contents ?? Buffer.alloc(0))
      : await store.read(digest, undefined, { signal });
  if (source === undefined) throw notFound(`blob ${digest} is not in the farm`);
  const file = await open(path, 'wx', isExecutable ? 0o777 : 0o666);
  try {
    const hasher = new DigestHasher(digest.digestFunction);
    for await (const chunk of hashing(source, hasher)) await file.writeFile(chunk);
    const seen = hasher.digest();
    if (seen.key !== digest.key) throw dataLoss(`blob ${digest}: received the bytes of ${seen}`);
  } finally {
    await file.close();
  }
}
