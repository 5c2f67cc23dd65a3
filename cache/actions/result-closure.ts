import { Digest } from '../../core/digest.ts';
import { invalidArgument, isIngotError, wrap } from '../../core/error.ts';
import { collectBytes } from '../../core/streams.ts';
import type {
  ActionResult,
  DigestFunction_Value,
  Digest as DigestMessage,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { BlobOptions, BlobStore } from '../blob-store.ts';
import { treeReferences } from '../tree/output-tree.ts';
import { walkTree } from '../tree/tree-walk.ts';

/** Largest Tree message that is read to see whether its files are there: some 300,000 files. */
const TREE_BYTES_MAX = 32 * 1024 * 1024;
/** Digests asked for at once. */
const FIND_MISSING_DIGESTS = 1000;

/** What {@link missingFromResult} needs besides the result. */
export interface ResultClosureOptions extends BlobOptions {
  readonly store: BlobStore;
  readonly digestFunction: DigestFunction_Value;
  /** Is filled with the blobs by their keys; all of them, when none turns out to be missing. */
  readonly needed?: Map<string, Digest> | undefined;
}

/**
 * Blobs a result refers to that are absent: outputs, stdout, stderr, Trees and the files in them, root directories
 * and all below. Stops at the first stage that lacks some, so the list may be a part of them; empty means complete.
 * INVALID_ARGUMENT when the result, or a tree of it, is malformed or beyond the limits.
 */
export async function missingFromResult(
  result: ActionResult,
  options: ResultClosureOptions,
): Promise<Digest[]> {
  const { digestFunction } = options;
  const digestOf = (message: DigestMessage | undefined) =>
    message === undefined ? [] : [Digest.fromMessage(message, digestFunction)];
  const trees = result.outputDirectories.flatMap(({ treeDigest }) => digestOf(treeDigest));
  const roots = result.outputDirectories.flatMap(({ rootDirectoryDigest }) => digestOf(rootDirectoryDigest));
  const direct = [
    ...result.outputFiles.map(({ digest }) => Digest.fromMessage(digest, digestFunction)),
    ...digestOf(result.stdoutDigest),
    ...digestOf(result.stderrDigest),
    ...trees,
    ...roots,
  ];
  const seen = options.needed ?? new Map<string, Digest>();
  let missing = await findMissingAmong(direct, seen, options);
  for (const tree of trees) {
    if (missing.length > 0) return missing;
    missing = await missingFromTree(tree, seen, options);
  }
  for (const root of roots) {
    if (missing.length > 0) return missing;
    missing = await missingBelow(root, seen, options);
  }
  return missing;
}

async function missingFromTree(
  digest: Digest,
  seen: Map<string, Digest>,
  options: ResultClosureOptions,
): Promise<Digest[]> {
  const { store, digestFunction } = options;
  if (digest.sizeBytes > TREE_BYTES_MAX) {
    throw invalidArgument(`tree ${digest}: at most ${TREE_BYTES_MAX} bytes are accepted in one tree`);
  }
  let bytes: Uint8Array;
  try {
    const source = await store.read(digest, undefined, options);
    if (source === undefined) return [digest];
    bytes = await collectBytes(source, { bytesMax: digest.sizeBytes, what: `tree ${digest}` });
  } catch (error) {
    // A damaged blob is taken out of its store when that is found: from now on it is absent.
    if (isIngotError(error, Code.DATA_LOSS)) return [digest];
    throw error;
  }
  try {
    const { files, absentDirectories } = await treeReferences(bytes, digestFunction);
    if (absentDirectories.length > 0) return absentDirectories;
    return await findMissingAmong(files, seen, options);
  } catch (error) {
    throw wrap(error, `tree ${digest}`);
  }
}

async function missingBelow(
  root: Digest,
  seen: Map<string, Digest>,
  options: ResultClosureOptions,
): Promise<Digest[]> {
  const { store, digestFunction } = options;
  for await (const { digest, directory } of walkTree(store, root, undefined, options)) {
    if (directory === undefined) return [digest];
    seen.set(digest.key, digest);
    const files = directory.files.map((node) => Digest.fromMessage(node.digest, digestFunction));
    const missing = await findMissingAmong(files, seen, options);
    if (missing.length > 0) return missing;
  }
  return [];
}

/** Asks for those not asked for before; ends at the first slice that lacks some. */
async function findMissingAmong(
  digests: readonly Digest[],
  seen: Map<string, Digest>,
  options: ResultClosureOptions,
): Promise<Digest[]> {
  const unseen: Digest[] = [];
  for (const digest of digests) {
    if (!seen.has(digest.key)) unseen.push(digest);
    seen.set(digest.key, digest);
  }
  for (let start = 0; start < unseen.length; start += FIND_MISSING_DIGESTS) {
    const slice = unseen.slice(start, start + FIND_MISSING_DIGESTS);
    const missing = await options.store.findMissing(slice, options);
    if (missing.length > 0) return missing;
  }
  return [];
}
