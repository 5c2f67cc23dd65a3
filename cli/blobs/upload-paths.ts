import { lstatSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { IoOptions } from '../../core/io-options.ts';
import { quote } from '../../core/quote.ts';
import { FarmConnection } from '../client/farm-connection.ts';
import { digestFile } from '../client/file-digest.ts';
import { fileError } from '../client/file-error.ts';
import { fileFactsOf } from '../client/file-facts.ts';
import type { InputBlob } from '../client/input-blob.ts';
import { buildInputTree } from '../client/input-tree.ts';
import { uploadBlobs } from '../client/upload-blobs.ts';
import type { CommandContext } from '../command-context.ts';
import { formatBytes } from '../output/format-bytes.ts';
import { UsageError } from '../usage-error.ts';

/** `ingot upload`: one path after the other. */
export async function uploadPaths(context: CommandContext, paths: readonly string[]): Promise<void> {
  const { io, printer, signal } = context;
  await using farm = new FarmConnection(context.farm, context);
  await farm.status({ signal });
  for (const path of paths) {
    const found = await read(resolve(io.cwd, path), path, { signal });
    const { totals, presentBytes } = await upload(farm, path, found, context);
    printer.liveEnd();
    const alreadyThere =
      presentBytes > 0 ? `, of which ${formatBytes(presentBytes)} were there as chunks` : '';
    printer.detail(
      `${path}: ${totals.uploadedCount} of ${found.blobs.size} blobs were missing, ${formatBytes(totals.uploadedBytes)}${alreadyThere}`,
    );
    printer.line(`${found.digest} ${path}`);
    printer.result({
      path,
      digest: found.digest,
      type: found.type,
      uploadedBlobs: totals.uploadedCount,
      uploadedBytes: totals.uploadedBytes - presentBytes,
    });
  }
}

/** Uploads what the farm lacks and shows how it goes; large blobs move on chunk by chunk. */
async function upload(
  farm: FarmConnection,
  path: string,
  { blobs }: Found,
  { printer, signal }: CommandContext,
) {
  const { chunkTotals } = farm;
  const before = { ...chunkTotals };
  let progress: ReturnType<typeof printer.progress> | undefined;
  let storedBytes = 0;
  let totalBytes = 0;
  const show = (): void => {
    const chunkBytes =
      chunkTotals.sentBytes - before.sentBytes + chunkTotals.presentBytes - before.presentBytes;
    const doneBytes = Math.max(storedBytes, Math.min(chunkBytes, totalBytes));
    progress?.update(doneBytes, `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`);
  };
  chunkTotals.onChange = show;
  const totals = await uploadBlobs(farm.blobStore, blobs, {
    signal,
    onProgress: (uploadedBytes, missingBytes) => {
      storedBytes = uploadedBytes;
      totalBytes = missingBytes;
      progress ??= printer.progress(`upload ${basename(path)}`, totalBytes);
      show();
    },
  });
  // Chunks that had to be sent again were counted again.
  const presentBytes = Math.min(chunkTotals.presentBytes - before.presentBytes, totals.uploadedBytes);
  return { totals, presentBytes };
}

interface Found {
  readonly type: 'file' | 'directory';
  readonly digest: string;
  readonly blobs: ReadonlyMap<string, InputBlob>;
}

async function read(absolute: string, path: string, options: IoOptions): Promise<Found> {
  const stats = stat(absolute, path);
  if (stats.isDirectory()) {
    const { rootDigest, blobs } = await buildInputTree(absolute, ['.'], options);
    return { type: 'directory', digest: String(rootDigest), blobs };
  }
  if (!stats.isFile()) throw new UsageError(`upload ${quote(path)}: expected a file or a directory`);
  const { digest } = await digestFile(fileFactsOf(absolute, stats), options);
  return { type: 'file', digest: String(digest), blobs: new Map([[digest.key, { digest, path: absolute }]]) };
}

function stat(absolute: string, path: string) {
  try {
    return lstatSync(absolute, { bigint: true });
  } catch (error) {
    throw fileError(error, `upload ${quote(path)}`);
  }
}
