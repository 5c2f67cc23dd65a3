import type { Logger } from '../../core/log/logger.ts';
import type { SandboxMount } from '../../proto/gen/ingot/v1/launcher.ts';
import type { InventoryGpu } from './gpu.ts';
import { readGpuInventoryFile } from './gpu-inventory-file.ts';
import { listNvidiaGpus } from './nvidia-smi.ts';

/** The GPUs a worker offers. */
export interface GpuInventory {
  readonly devices: readonly InventoryGpu['device'][];
  /** What an action that leases these devices is shown of /dev. */
  mountsOf(ids: readonly string[]): SandboxMount[];
}

/** Takes stock of the machine's GPUs, or of an inventory file's imaginary ones, and logs each. */
export async function listGpus(inventoryFile: string | undefined, logger: Logger): Promise<GpuInventory> {
  const imaginary = inventoryFile !== undefined;
  const gpus = imaginary ? await readGpuInventoryFile(inventoryFile) : await listNvidiaGpus();
  for (const { device } of gpus) {
    if (imaginary) logger.warn({ device }, 'GPU of the inventory file: this is not a real device');
    else logger.info({ device }, 'GPU found');
  }
  return {
    devices: gpus.map(({ device }) => device),
    mountsOf(ids) {
      if (imaginary && ids.length > 0) {
        logger.warn({ ids }, 'action leases GPUs of the inventory file: these are not real devices');
      }
      const leased = gpus.filter(({ device }) => ids.includes(device.id));
      const mounts = leased.flatMap(({ nodes }) => nodes);
      return [...new Map(mounts.map((mount) => [mount.hostPath, mount])).values()];
    },
  };
}
