import { randomUUID } from 'node:crypto';
import { Digest } from '../../core/digest.ts';
import type { Logger } from '../../core/log/logger.ts';
import { bytesOf } from '../../core/streams.ts';
import type { LauncherReady } from '../../proto/gen/ingot/v1/launcher.ts';
import type { LocalBlobCache } from '../blobs/local-blob-cache.ts';
import { LauncherProcess } from '../launcher/launcher-process.ts';
import { LauncherSandbox } from '../launcher/launcher-sandbox.ts';
import { isBehindClosedDoor } from '../launcher/stage.ts';
import type { HostImage } from './host-image.ts';
import type { SandboxLevel } from './sandbox-level.ts';
import { type ProbeResult, selfTestSandbox } from './self-test.ts';

export interface OpenSandboxOptions {
  readonly level: SandboxLevel;
  readonly workerFolder: string;
  readonly slots: number;
  readonly image: HostImage;
  /** Folders of toolchains that actions may ask for. */
  readonly mountSources: readonly string[];
  readonly cpuCeiling: boolean;
  /** Where the launcher's compiled code is kept; workers of a machine may share it. */
  readonly compileCacheFolder: string;
  readonly blobCache: LocalBlobCache;
  readonly onHealth: (unhealthyReason: string | undefined) => void;
  readonly logger: Logger;
}

/** A sandbox that has passed its self-test. */
export interface OpenSandbox {
  readonly sandbox: LauncherSandbox;
  readonly ready: LauncherReady;
  readonly probes: readonly ProbeResult[];
}

/** Starts the launcher and tests what it makes; FAILED_PRECONDITION says what is missing or let through. */
export async function openSandbox(options: OpenSandboxOptions): Promise<OpenSandbox> {
  const { level, workerFolder, slots, image, mountSources, cpuCeiling, logger } = options;
  const folders = [workerFolder, ...mountSources];
  // The worker's own user gets at them anyhow.
  const ownMountNamespace =
    level === 'strict' && process.getuid?.() === 0 && folders.some(isBehindClosedDoor);
  const sandbox = new LauncherSandbox({
    logger,
    configuration: {
      level,
      workerFolder,
      slots,
      imageMounts: [...image.mounts],
      imageSymlinks: [...image.symlinks],
      mountSources: [...mountSources],
      cpuCeiling,
    },
    startProcess: () =>
      LauncherProcess.start({
        logger,
        compileCacheFolder: options.compileCacheFolder,
        ownMountNamespace,
      }),
    onHealth: options.onHealth,
  });
  try {
    const ready = await sandbox.start();
    const probes = await selfTest(options, sandbox);
    const table = Object.fromEntries(probes.map(({ name, seen }) => [name, seen]));
    logger.info(
      { sandbox: level, limits: ready.limits, slotUids: ready.slotUids, probes: table },
      'sandbox is ready',
    );
    if (level === 'none') logger.warn({}, 'actions run without a sandbox: they can do what this worker can');
    return { sandbox, ready, probes };
  } catch (error) {
    await sandbox.close();
    throw error;
  }
}

async function selfTest(
  { level, workerFolder, blobCache }: OpenSandboxOptions,
  sandbox: LauncherSandbox,
): Promise<ProbeResult[]> {
  const bytes = Buffer.from(`self-test ${randomUUID()}\n`);
  const file = { digest: Digest.ofBytes(bytes), executable: false };
  using input = await blobCache.store(file, bytesOf(bytes));
  return await selfTestSandbox({ sandbox, level, workerFolder, inputBlob: input.path });
}
