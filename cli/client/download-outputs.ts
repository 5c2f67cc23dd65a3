import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore } from '../../cache/blob-store.ts';
import { mapConcurrent } from '../../core/concurrency.ts';
import { checkRelativePath } from '../../core/directory.ts';
import { invalidArgument } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { quote } from '../../core/quote.ts';
import type {
  ActionResult,
  OutputSymlink,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { materialiseTree, readTree } from './output-tree.ts';
import { placeAtomically } from './place-atomically.ts';
import { writeBlobFile } from './write-blob-file.ts';

/** Outputs fetched at once. */
const DOWNLOADS_MAX = 16;

/** What a download brought. */
export interface DownloadTotals {
  /** Paths as the result names them. */
  readonly paths: readonly string[];
}

interface DownloadOptions extends IoOptions {
  readonly store: BlobStore;
  /** Outputs are put at their paths below it. */
  readonly rootPath: string;
  /** The paths that were asked for; a result that names others is refused. */
  readonly outputPaths: readonly string[];
}

/**
 * Brings an action's outputs to the paths it has them at. Each one is built beside its place and renamed into it,
 * so that no one sees half an output and a failure leaves the old one.
 */
export async function downloadOutputs(
  result: ActionResult,
  options: DownloadOptions,
): Promise<DownloadTotals> {
  const tasks = outputTasks(result, options);
  for (const { path } of tasks) {
    checkRelativePath(path, 'output of the result');
    if (!options.outputPaths.includes(path)) {
      throw invalidArgument(
        `download outputs: the result has ${quote(path)}, expected only ${options.outputPaths.map(quote).join(', ') || 'none'}`,
      );
    }
  }
  await mapConcurrent(tasks, DOWNLOADS_MAX, (task, signal) => place(task, options.rootPath, signal), options);
  return { paths: tasks.map(({ path }) => path) };
}

interface OutputTask {
  readonly path: string;
  /** Makes the output at a path where nothing is. */
  readonly make: (absolutePath: string, signal: AbortSignal) => Promise<void>;
}

function outputTasks(result: ActionResult, { store }: DownloadOptions): OutputTask[] {
  const links = [...result.outputSymlinks, ...result.outputFileSymlinks, ...result.outputDirectorySymlinks];
  return [
    ...result.outputFiles.map(({ path, digest, isExecutable, contents }) => ({
      path,
      make: (absolutePath: string, signal: AbortSignal) =>
        writeBlobFile(store, digest, absolutePath, { isExecutable, contents, signal }),
    })),
    ...result.outputDirectories.map((directory) => ({
      path: directory.path,
      make: async (absolutePath: string, signal: AbortSignal) => {
        const tree = await readTree(store, directory, { signal });
        await materialiseTree(store, tree, absolutePath, { signal });
      },
    })),
    // Servers before 2.1 fill the older lists, newer ones the first: the same link may be in both.
    ...[...new Map(links.map((link) => [link.path, link])).values()].map((link: OutputSymlink) => ({
      path: link.path,
      make: (absolutePath: string) => symlink(link.target, absolutePath),
    })),
  ];
}

async function place({ path, make }: OutputTask, rootPath: string, signal: AbortSignal): Promise<void> {
  const target = join(rootPath, path);
  await placeAtomically(target, `output ${quote(path)}`, (staged) => make(staged, signal), { signal });
}
