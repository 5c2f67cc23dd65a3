import { Digest } from '../../core/digest.ts';
import { DIRECTORY_BYTES_MAX, parseDirectory } from '../../core/directory.ts';
import { invalidArgument, isIngotError, wrap } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { collectBytes } from '../../core/streams.ts';
import { TimeSlice } from '../../core/time-slice.ts';
import type { Directory } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { BlobStore } from '../blob-store.ts';
import { type TreeLimits, TreeSize } from './tree-size.ts';

/** Directories fetched ahead of the one that is yielded. */
const FETCHES_AT_ONCE = 16;

/**
 * Limits for input roots and output directories. Half a million nodes are five of the largest trees in common use
 * (a conda environment, a toolchain); 256 levels of directories are more than a person ever made.
 */
export const defaultTreeLimits: TreeLimits = {
  nodesMax: 500_000,
  depthMax: 256,
  bytesMax: 64 * 1024 * 1024,
};

/** One distinct directory of a tree. */
export interface TreeStep {
  readonly digest: Digest;
  /** Undefined: the blob is absent, and what would be below it is not known. */
  readonly directory: Directory | undefined;
  /** Levels below the root, by the shortest path. */
  readonly depth: number;
}

/**
 * The directories of a tree, each distinct one fetched and yielded once, breadth first and so always in the same
 * order. Absent ones are yielded too and do not end the walk. A malformed directory, or a tree beyond the limits, is
 * INVALID_ARGUMENT. A tree of few directories that repeat without measure is found out only at the end: take the
 * walk to its end before writing anything out.
 */
export async function* walkTree(
  store: BlobStore,
  rootDigest: Digest,
  limits: TreeLimits = defaultTreeLimits,
  options: IoOptions = {},
): AsyncGenerator<TreeStep, void, undefined> {
  const size = new TreeSize(limits);
  const slice = new TimeSlice();
  const known = new Set([rootDigest.key]);
  const queue: Place[] = [{ digest: rootDigest, depth: 0 }];
  const fetching: Promise<TreeStep>[] = [];
  let taken = 0;
  try {
    for (;;) {
      const ahead = queue.slice(taken, taken + FETCHES_AT_ONCE - fetching.length);
      taken += ahead.length;
      for (const place of ahead) {
        size.expect(place.digest, place.depth);
        fetching.push(fetchStep(store, place, options));
      }
      const step = await fetching.shift();
      if (step === undefined) break;
      if (step.directory !== undefined) {
        const children = childrenOf(step.directory, step.digest);
        size.add(step.digest, step.directory, children);
        for (const digest of children) {
          if (!known.has(digest.key)) queue.push({ digest, depth: step.depth + 1 });
          known.add(digest.key);
        }
      }
      yield step;
      await slice.pause();
    }
  } finally {
    await Promise.allSettled(fetching);
  }
  size.check(rootDigest);
}

interface Place {
  readonly digest: Digest;
  readonly depth: number;
}

function fetchStep(store: BlobStore, { digest, depth }: Place, options: IoOptions): Promise<TreeStep> {
  const step = fetchDirectory(store, digest, options).then((directory) => ({ digest, depth, directory }));
  step.catch(() => {
    // Met when the step's turn comes; until then it must not pass for unhandled.
  });
  return step;
}

async function fetchDirectory(
  store: BlobStore,
  digest: Digest,
  options: IoOptions,
): Promise<Directory | undefined> {
  if (digest.sizeBytes > DIRECTORY_BYTES_MAX) {
    throw invalidArgument(
      `directory ${digest}: at most ${DIRECTORY_BYTES_MAX} bytes are accepted in one directory`,
    );
  }
  let bytes: Uint8Array;
  try {
    const source = await store.read(digest, undefined, options);
    if (source === undefined) return undefined;
    bytes = await collectBytes(source, { bytesMax: digest.sizeBytes, what: `directory ${digest}` });
  } catch (error) {
    // A damaged blob is taken out of its store when that is found: from now on it is absent.
    if (isIngotError(error, Code.DATA_LOSS)) return undefined;
    throw wrap(error, `Fetch directory ${digest}`);
  }
  try {
    return parseDirectory(bytes, digest.digestFunction);
  } catch (error) {
    throw wrap(error, `directory ${digest}`);
  }
}

function childrenOf(directory: Directory, parent: Digest): Digest[] {
  return directory.directories.map((node) => Digest.fromMessage(node.digest, parent.digestFunction));
}
