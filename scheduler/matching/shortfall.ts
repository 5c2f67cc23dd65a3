import { quote } from '../../core/quote.ts';
import type { GpuDevice, Resources, WorkerProperty } from '../../proto/gen/ingot/v1/bus.ts';
import { cpuMillisOf, gpuFits } from './allocate.ts';
import { propertySatisfied } from './property-match.ts';
import type { Requirement } from './requirement.ts';

/** What a worker offers in all, whatever of it is in use. */
export interface WorkerOffer {
  readonly workerId: string;
  readonly properties: readonly WorkerProperty[];
  readonly capacity: Resources;
}

/** One thing an action wants that a worker could never give. */
export interface Shortfall {
  /** Name of the platform property that fails. */
  readonly property: string;
  /** For people: what was wanted, and what the worker has. */
  readonly text: string;
  /** The worker has nothing of that kind at all: it is further off than one that has too little, or another value. */
  readonly absent: boolean;
}

/** Everything that keeps an action off a worker for good; empty when it can run there. */
export function shortfalls(requirement: Requirement, worker: WorkerOffer): Shortfall[] {
  const found: Shortfall[] = [];
  for (const wanted of requirement.properties) {
    if (propertySatisfied(wanted, worker.properties)) continue;
    const values = worker.properties.filter(({ name }) => name === wanted.name).map(({ value }) => value);
    const has = values.length === 0 ? 'none' : values.map(quote).join(' or ');
    found.push({
      property: wanted.name,
      text: `${quote(wanted.name)} is ${has}, wanted ${quote(wanted.value)}`,
      absent: values.length === 0,
    });
  }
  found.push(...amountShortfalls(requirement, worker.capacity));
  return found;
}

function amountShortfalls(requirement: Requirement, capacity: Resources): Shortfall[] {
  const { request, gpuCount } = requirement;
  const cpuMillis = cpuMillisOf(requirement, capacity);
  const found: Shortfall[] = [];
  const add = (property: string, text: string, absent = false): void => {
    found.push({ property, text, absent });
  };
  if (capacity.slots < request.slots) add('slots', `it has no slots`);
  if (capacity.cpuMillis < cpuMillis) {
    add('cpu', `cpu is ${capacity.cpuMillis / 1000}, wanted ${cpuMillis / 1000}`);
  }
  if (capacity.memoryBytes < request.memoryBytes) {
    add('memory', `memory is ${capacity.memoryBytes} bytes, wanted ${request.memoryBytes}`);
  }
  const fitting = capacity.gpus.filter((device) => gpuFits(device, requirement.gpu)).length;
  if (fitting < gpuCount) {
    const { property, wanted } = gpuWanted(requirement, capacity.gpus);
    add(property, `it has ${describeGpus(capacity.gpus)}, wanted ${wanted}`, capacity.gpus.length === 0);
  }
  return found;
}

/** Names the GPU property that fails: the count when too few are there at all, else what they lack. */
function gpuWanted(
  { request, gpuCount }: Requirement,
  devices: readonly GpuDevice[],
): { property: string; wanted: string } {
  const [first] = request.gpus;
  const arch = first?.arch ?? '';
  const memoryBytes = first?.memoryBytes ?? 0;
  const details = [
    ...(arch === '' ? [] : [`gpu.arch=${arch}`]),
    ...(memoryBytes === 0 ? [] : [`gpu.memory=${memoryBytes}`]),
  ];
  const wanted = [`gpu.count=${gpuCount}`, ...details].join(' ');
  const healthy = devices.filter(({ unhealthyReason }) => unhealthyReason === '').length;
  if (healthy < gpuCount || details.length === 0) return { property: 'gpu.count', wanted };
  return { property: arch === '' ? 'gpu.memory' : 'gpu.arch', wanted };
}

function describeGpus(devices: readonly GpuDevice[]): string {
  if (devices.length === 0) return 'no GPU';
  return devices
    .map(({ arch, memoryBytes, unhealthyReason }) => {
      const facts = `${arch} with ${memoryBytes} bytes`;
      return unhealthyReason === '' ? facts : `${facts} (unwell: ${unhealthyReason})`;
    })
    .join(', ');
}
