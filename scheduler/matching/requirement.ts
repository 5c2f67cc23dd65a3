import type { Platform_Property } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Resources } from '../../proto/gen/ingot/v1/bus.ts';
import { type GpuArch, parseGpuArch } from './gpu-arch.ts';

/** What one GPU must be. */
export interface GpuRequirement {
  readonly arch: GpuArch | undefined;
  readonly memoryBytes: number;
}

/** What an action needs of a worker, in the form matching works on. Equal keys mean equal requirements. */
export interface Requirement {
  readonly key: string;
  /** Zero where the action says nothing; see `allocate`. GPUs carry arch and memory but no id. */
  readonly request: Resources;
  readonly gpuCount: number;
  /** Equal for all GPUs of an action. */
  readonly gpu: GpuRequirement;
  /** Every one must be satisfied. Sorted by name and value. */
  readonly properties: readonly Platform_Property[];
}

/** Builds it from what the journal keeps of an operation. */
export function requirementOf(request: Resources, properties: readonly Platform_Property[]): Requirement {
  const [gpu] = request.gpus;
  const sorted = properties.toSorted((a, b) => compare(a.name, b.name) || compare(a.value, b.value));
  return {
    key: JSON.stringify([
      request.slots,
      request.cpuMillis,
      request.memoryBytes,
      request.gpus.length,
      gpu?.arch ?? '',
      gpu?.memoryBytes ?? 0,
      sorted.map(({ name, value }) => [name, value]),
    ]),
    request,
    gpuCount: request.gpus.length,
    gpu: { arch: parseGpuArch(gpu?.arch ?? ''), memoryBytes: gpu?.memoryBytes ?? 0 },
    properties: sorted,
  };
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
