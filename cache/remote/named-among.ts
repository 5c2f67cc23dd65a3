import type { Digest } from '../../core/digest.ts';
import { sameWords, WORD_DIGITS } from '../../core/hash-words.ts';
import { PackedDigest } from '../../core/packed-digest.ts';
import type { Digest as DigestMessage } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/**
 * Those of the digests that a server named in its answer. Servers keep the order of the question, and then no name is
 * made; one that does not is understood too.
 */
export function namedAmong(digests: readonly Digest[], named: readonly DigestMessage[]): Digest[] {
  const found: Digest[] = [];
  for (const digest of digests) {
    const next = named[found.length];
    if (next === undefined) break;
    if (isNamedBy(digest, next)) found.push(digest);
  }
  if (found.length === named.length) return found;
  const names = new Set(named.map(({ hash, sizeBytes }) => `${hash}/${sizeBytes}`));
  return digests.filter((digest) => names.has(digest.toString()));
}

function isNamedBy(digest: Digest, message: DigestMessage): boolean {
  if (message.sizeBytes !== digest.sizeBytes) return false;
  return message instanceof PackedDigest
    ? digest.hashLength === WORD_DIGITS && sameWords(digest.words, message.words)
    : message.hash === digest.hash;
}
