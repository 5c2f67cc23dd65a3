import { type IngotError, invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import type {
  Platform,
  Platform_Property,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { GpuDevice, Resources } from '../../proto/gen/ingot/v1/bus.ts';
import { parseRequestedGpuArch } from './gpu-arch.ts';
import { parseCount, parseCpuMillis, parseMemoryBytes } from './quantity.ts';

/** More properties than any toolchain sends; each is compared with each worker. */
const PROPERTIES_MAX = 64;
/** Longest name or value, in characters: an image reference with its digest has some 200. */
const TEXT_CHARACTERS_MAX = 1024;
/** No machine has more GPUs. */
const GPUS_MAX = 64;

const TYPED = ['cpu', 'memory', 'gpu.count', 'gpu.arch', 'gpu.memory'] as const;
type TypedName = (typeof TYPED)[number];

/** What a platform asks for, typed resources apart from plain properties. */
export interface PlatformRequest {
  readonly request: Resources;
  readonly properties: Platform_Property[];
}

/**
 * Reads the platform of an action. `cpu` (cores), `memory`, `gpu.count`, `gpu.arch` and `gpu.memory` (of each GPU) are
 * amounts a lease takes; every other property is compared with the workers'. INVALID_ARGUMENT for what is malformed.
 */
export function parsePlatformRequest(platform: Platform | undefined): PlatformRequest {
  const all = platform?.properties ?? [];
  if (all.length > PROPERTIES_MAX) {
    throw invalidArgument(`platform has ${all.length} properties, at most ${PROPERTIES_MAX} are accepted`);
  }
  const typed = new Map<string, string>();
  const properties: Platform_Property[] = [];
  for (const { name, value } of all) {
    checkText(name, value);
    if (!isTyped(name)) {
      properties.push({ name, value });
      continue;
    }
    if (typed.has(name)) throw invalidArgument(`platform property ${name} is given twice`);
    typed.set(name, value);
  }
  return { request: readAmounts(typed), properties };
}

function readAmounts(typed: ReadonlyMap<string, string>): Resources {
  const cpu = typed.get('cpu');
  const memory = typed.get('memory');
  return {
    slots: 1,
    cpuMillis: cpu === undefined ? 0 : parseCpuMillis(cpu, 'cpu'),
    memoryBytes: memory === undefined ? 0 : parseMemoryBytes(memory, 'memory'),
    gpus: readGpus(typed),
  };
}

/** One entry a GPU. Naming an architecture or a size without a count asks for one GPU. */
function readGpus(typed: ReadonlyMap<string, string>): GpuDevice[] {
  const arch = typed.get('gpu.arch');
  const memory = typed.get('gpu.memory');
  const countText = typed.get('gpu.count');
  const described = arch !== undefined || memory !== undefined;
  const count = countText === undefined ? Number(described) : parseCount(countText, 'gpu.count', GPUS_MAX);
  if (arch !== undefined) parseRequestedGpuArch(arch);
  const memoryBytes = memory === undefined ? 0 : parseMemoryBytes(memory, 'gpu.memory');
  if (count === 0 && described) throw contradictory(arch === undefined ? 'gpu.memory' : 'gpu.arch');
  return Array.from({ length: count }, () => ({
    id: '',
    arch: arch ?? '',
    memoryBytes,
    model: '',
    unhealthyReason: '',
  }));
}

function contradictory(name: TypedName): IngotError {
  return invalidArgument(`platform asks for gpu.count=0 and for ${name}, expected one or the other`);
}

function isTyped(name: string): name is TypedName {
  return TYPED.some((typed) => typed === name);
}

function checkText(name: string, value: string): void {
  if (name === '') throw invalidArgument('platform has a property without a name');
  for (const text of [name, value]) {
    if (text.length <= TEXT_CHARACTERS_MAX) continue;
    throw invalidArgument(
      `platform property ${quote(name)} has ${text.length} characters, at most ${TEXT_CHARACTERS_MAX} are accepted`,
    );
  }
}
