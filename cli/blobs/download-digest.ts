import { readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { failedPrecondition } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import { FarmConnection } from '../client/farm-connection.ts';
import { materialiseTree, readTree } from '../client/output-tree.ts';
import { placeAtomically } from '../client/place-atomically.ts';
import { writeBlobFile } from '../client/write-blob-file.ts';
import type { CommandContext } from '../command-context.ts';
import { UsageError } from '../usage-error.ts';
import { parseDigest } from './parse-digest.ts';

/** The flags of `ingot download`. */
export interface DownloadOptions {
  readonly directory?: boolean;
  readonly tree?: boolean;
  readonly executable?: boolean;
  /** Replace a directory that holds something. */
  readonly force?: boolean;
}

/** `ingot download`. */
export async function downloadDigest(
  context: CommandContext,
  { directory = false, tree = false, executable = false, force = false }: DownloadOptions,
  [text = '', destination = '']: readonly string[],
): Promise<void> {
  if (directory && tree) throw new UsageError('--directory and --tree exclude each other');
  if (executable && (directory || tree)) throw new UsageError('--executable is for files');
  const { io, printer, signal } = context;
  const digest = parseDigest(text);
  const message = digest.toMessage();
  await using farm = new FarmConnection(context.farm, context);
  const { blobStore } = farm;
  await farm.status({ signal });
  const target = resolve(io.cwd, destination);
  if (!force && (await holdsSomething(target))) {
    throw failedPrecondition(
      `${quote(destination)} is a directory with something in it, which would be gone; expected another path, or --force`,
    );
  }
  await placeAtomically(
    target,
    quote(destination),
    async (staged) => {
      if (!directory && !tree) {
        await writeBlobFile(blobStore, message, staged, { isExecutable: executable, signal });
        return;
      }
      const output = {
        path: destination,
        treeDigest: tree ? message : undefined,
        rootDirectoryDigest: tree ? undefined : message,
        isTopologicallySorted: false,
      };
      await materialiseTree(blobStore, await readTree(blobStore, output, { signal }), staged, { signal });
    },
    { signal },
  );
  printer.note(`wrote ${destination}`);
  printer.result({ digest: String(digest), path: destination });
}

async function holdsSomething(path: string): Promise<boolean> {
  // What is no directory, or not there, has no entries; what cannot be read is told when it is written to.
  const names = await readdir(path).catch(() => []);
  return names.length > 0;
}
