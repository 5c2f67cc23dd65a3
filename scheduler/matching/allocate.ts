import type { GpuDevice, Resources } from '../../proto/gen/ingot/v1/bus.ts';
import { gpuArchRuns, parseGpuArch } from './gpu-arch.ts';
import type { GpuRequirement, Requirement } from './requirement.ts';

/** What an action that does not say `cpu` takes at most: one core. */
const DEFAULT_CPU_MILLIS = 1000;

/** What is taken of a worker: a sum of leases. */
export interface ResourcesInUse {
  readonly slots: number;
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly gpuIds: ReadonlySet<string>;
}

/**
 * What a lease would take of a worker, down to the very GPUs, or undefined when there is no room. An action that
 * does not say `cpu` takes one core, or less on a worker with more slots than cores, so that every slot can be
 * used; one that does not say `memory` takes none.
 */
export function allocate(
  requirement: Requirement,
  capacity: Resources,
  inUse: ResourcesInUse,
): Resources | undefined {
  const { request } = requirement;
  const cpuMillis = cpuMillisOf(requirement, capacity);
  const gpus = pickGpus(requirement, capacity.gpus, inUse.gpuIds);
  if (gpus === undefined) return undefined;
  const reserved = { slots: request.slots, cpuMillis, memoryBytes: request.memoryBytes, gpus };
  return hasRoomFor(reserved, capacity, inUse) ? reserved : undefined;
}

/** True when exactly these resources are free. */
export function hasRoomFor(reserved: Resources, capacity: Resources, inUse: ResourcesInUse): boolean {
  return (
    inUse.slots + reserved.slots <= capacity.slots &&
    inUse.cpuMillis + reserved.cpuMillis <= capacity.cpuMillis &&
    inUse.memoryBytes + reserved.memoryBytes <= capacity.memoryBytes &&
    !reserved.gpus.some(({ id }) => inUse.gpuIds.has(id))
  );
}

/** The processor time the action takes of this worker, in thousandths of a core. */
export function cpuMillisOf({ request }: Requirement, capacity: Resources): number {
  if (request.cpuMillis > 0) return request.cpuMillis;
  return Math.min(DEFAULT_CPU_MILLIS, Math.floor(capacity.cpuMillis / Math.max(capacity.slots, 1)));
}

/** True when the device may be leased to such an action. */
export function gpuFits(device: GpuDevice, wanted: GpuRequirement): boolean {
  if (device.unhealthyReason !== '' || device.memoryBytes < wanted.memoryBytes) return false;
  if (wanted.arch === undefined) return true;
  const arch = parseGpuArch(device.arch);
  return arch !== undefined && gpuArchRuns(arch, wanted.arch);
}

/** The least of the devices that do: the larger and newer ones stay for actions that need them. */
function pickGpus(
  { gpuCount, gpu }: Requirement,
  devices: readonly GpuDevice[],
  leasedIds: ReadonlySet<string>,
): GpuDevice[] | undefined {
  if (gpuCount === 0) return [];
  const fitting = devices.filter((device) => !leasedIds.has(device.id) && gpuFits(device, gpu));
  if (fitting.length < gpuCount) return undefined;
  fitting.sort((a, b) => a.memoryBytes - b.memoryBytes || archRank(a) - archRank(b) || compareIds(a, b));
  return fitting.slice(0, gpuCount);
}

function archRank({ arch }: GpuDevice): number {
  const parsed = parseGpuArch(arch);
  return parsed === undefined ? 0 : parsed.major * 10 + parsed.minor;
}

function compareIds(a: GpuDevice, b: GpuDevice): number {
  return a.id < b.id ? -1 : 1;
}
