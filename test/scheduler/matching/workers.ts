import {
  type GpuDevice,
  type WorkerProperty,
  WorkerProperty_Treatment,
} from '../../../proto/gen/ingot/v1/bus.ts';
import { parsePlatformRequest } from '../../../scheduler/matching/platform-request.ts';
import { type Requirement, requirementOf } from '../../../scheduler/matching/requirement.ts';
import type { WorkerOffer } from '../../../scheduler/matching/shortfall.ts';

/** A requirement as a platform would state it: `requirement({ cpu: '2', OSFamily: 'linux' })`. */
export function requirement(properties: Readonly<Record<string, string>> = {}): Requirement {
  const parsed = parsePlatformRequest({
    properties: Object.entries(properties).map(([name, value]) => ({ name, value })),
  });
  return requirementOf(parsed.request, parsed.properties);
}

/** A device: `gpu('a', 'sm_80', 16)` has 16 GiB. */
export function gpu(id: string, arch: string, memoryGib = 16, unhealthyReason = ''): GpuDevice {
  return { id, arch, memoryBytes: memoryGib * 2 ** 30, model: 'test', unhealthyReason };
}

/** Properties compared exactly, from `name: [values]`; or with another treatment. */
export function offered(
  properties: Readonly<Record<string, readonly string[]>>,
  treatment: WorkerProperty_Treatment = WorkerProperty_Treatment.EXACT,
): WorkerProperty[] {
  return Object.entries(properties).flatMap(([name, values]) =>
    values.map((value) => ({ name, value, treatment })),
  );
}

/** A worker with four slots on four cores and 8 GiB, unless told otherwise. */
export function workerOffer(
  workerId: string,
  {
    properties = offered({ OSFamily: ['linux'] }),
    ...capacity
  }: Partial<WorkerOffer['capacity']> & { readonly properties?: WorkerProperty[] } = {},
): WorkerOffer {
  return {
    workerId,
    properties,
    capacity: { slots: 4, cpuMillis: 4000, memoryBytes: 2 ** 33, gpus: [], ...capacity },
  };
}
