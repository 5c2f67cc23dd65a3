import type { GpuDevice } from '../../proto/gen/ingot/v1/bus.ts';
import type { SandboxMount } from '../../proto/gen/ingot/v1/launcher.ts';

/** One GPU of this machine: what is told of it, and what an action that leases it is shown. */
export interface InventoryGpu {
  readonly device: GpuDevice;
  /** Empty for a device that is only in an inventory file. */
  readonly nodes: readonly SandboxMount[];
}
