import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ToolchainManifest } from '../../core/toolchain/toolchain-manifest.ts';
import type { CudaRelease } from './cuda-release.ts';
import { folderBytes } from './folder-bytes.ts';
import type { OnInstallEvent } from './install-event.ts';
import type { PipClient } from './pip-client.ts';
import type { StagingFolder } from './staging-folder.ts';

/** How often the bytes on disk are counted while pip downloads. */
const LOOK_EVERY_MS = 200;

interface DownloadWheelsOptions {
  readonly pip: PipClient;
  readonly staging: StagingFolder;
  readonly temporaryFolder: string;
  readonly onEvent: OnInstallEvent;
  readonly signal: AbortSignal | undefined;
}

/** Wheels on disk, as they will stand in the manifest. */
export interface DownloadedWheels {
  readonly paths: readonly string[];
  readonly packages: ToolchainManifest['packages'];
}

/** Downloads a release's wheels into the staging folder, telling how far it is. pip checks the pinned hashes. */
export async function downloadWheels(
  release: CudaRelease,
  { pip, staging, temporaryFolder, onEvent, signal }: DownloadWheelsOptions,
): Promise<DownloadedWheels> {
  const wheelsFolder = await staging.subfolder('wheels');
  const requirementsFile = join(staging.path, 'requirements.txt');
  await writeFile(requirementsFile, `${release.requirements.join('\n')}\n`);

  const watch = watchBytes(temporaryFolder, release.downloadBytes, onEvent);
  try {
    await pip.download(requirementsFile, wheelsFolder, { temporaryFolder, signal });
  } finally {
    await watch.stop();
  }
  // The meta package that names the parts of an unpinned release holds no files of its own.
  const files = (await readdir(wheelsFolder)).filter((file) => file.startsWith('nvidia_')).sort();
  const packages = [];
  for (const file of files) packages.push(await describeWheel(wheelsFolder, file));
  const doneBytes = packages.reduce((sum, { bytes }) => sum + bytes, 0);
  onEvent({ step: 'download', doneBytes, totalBytes: doneBytes });
  return { paths: files.map((file) => join(wheelsFolder, file)), packages };
}

/** pip says nothing while it loads a file unless a terminal is attached; its temporary files tell instead. */
function watchBytes(
  folder: string,
  totalBytes: number | undefined,
  onEvent: OnInstallEvent,
): { stop(): Promise<void> } {
  let stopped = false;
  let most = 0;
  let wake: () => void = () => undefined;
  const look = async (): Promise<void> => {
    while (!stopped) {
      most = Math.max(most, await folderBytes(folder));
      if (!stopped) onEvent({ step: 'download', doneBytes: Math.min(most, totalBytes ?? most), totalBytes });
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, LOOK_EVERY_MS);
      });
    }
  };
  const looking = look();
  return {
    stop: async () => {
      stopped = true;
      wake();
      await looking;
    },
  };
}

async function describeWheel(
  folder: string,
  file: string,
): Promise<{ file: string; sha256: string; bytes: number }> {
  const path = join(folder, file);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return { file, sha256: hash.digest('hex'), bytes: (await stat(path)).size };
}
