import type { Digest } from '../../../core/digest.ts';
import type { ActionResult } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { directory, encoded, storeDirectory, storeTree } from '../directories.ts';
import type { MemoryBlobStore } from '../memory-blob-store.ts';
import { outputDirectory, outputFiles, result } from '../results.ts';

type Blobs = MemoryBlobStore;

/** Results that need the blob they are given, and how they come by it. */
export const resultsThatNeed: [string, (blobs: Blobs, needed: Digest) => Promise<ActionResult>][] = [
  ['an output file', async (_, needed) => result({ outputFiles: outputFiles({ a: needed }) })],
  ['stdout', async (_, needed) => result({ stdoutDigest: needed.toMessage() })],
  ['stderr', async (_, needed) => result({ stderrDigest: needed.toMessage() })],
  [
    'a file in the root of a tree',
    async (blobs, needed) =>
      result({
        outputDirectories: [outputDirectory('d', { tree: await storeTree(blobs, directory({ needed })) })],
      }),
  ],
  [
    'a file deep in a tree',
    async (blobs, needed) => {
      const leaf = directory({ needed });
      const root = directory({}, { leaf: encoded(leaf).digest });
      const tree = await storeTree(blobs, root, [leaf]);
      return result({ outputDirectories: [outputDirectory('d', { tree })] });
    },
  ],
  [
    'a file below a root directory',
    async (blobs, needed) => {
      const leaf = await storeDirectory(blobs, directory({ needed }));
      const root = await storeDirectory(blobs, directory({}, { leaf }));
      return result({ outputDirectories: [outputDirectory('d', { root })] });
    },
  ],
];
