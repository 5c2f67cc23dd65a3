import type { Toolchain } from '../../core/toolchain/toolchain.ts';
import { WorkerProperty_Treatment as Treatment, type WorkerProperty } from '../../proto/gen/ingot/v1/bus.ts';
import { INPUT_ROOT_PATH } from '../sandbox/sandbox.ts';
import type { SandboxLevel } from '../sandbox/sandbox-level.ts';

/** REAPI's words for processors, by Node's. */
const ISAS: Readonly<Record<string, string>> = { x64: 'x86-64', arm64: 'arm-a64' };

/** What a worker offers to actions. */
export interface WorkerOffers {
  readonly level: SandboxLevel;
  /** `host-0123456789ab`. */
  readonly image: string;
  readonly toolchains: readonly Toolchain[];
  readonly pool: string | undefined;
  /** Names for which any value will do: a person says that the host stands in for it. */
  readonly acceptedNames: readonly string[];
  readonly properties: ReadonlyMap<string, string>;
}

/** The platform properties of a worker, sorted by name and value. */
export function workerProperties(offers: WorkerOffers, architecture = process.arch): WorkerProperty[] {
  const exact = (name: string, value: string): WorkerProperty => ({
    name,
    value,
    treatment: Treatment.EXACT,
  });
  const isa = ISAS[architecture];
  const properties = [
    // The standard's value, and the one most toolchains in the wild send.
    exact('OSFamily', 'linux'),
    exact('OSFamily', 'Linux'),
    ...(isa === undefined ? [] : [exact('ISA', isa)]),
    exact('sandbox', offers.level),
    exact('image', offers.image),
    ...offers.toolchains.map(({ id }) => exact('toolchain', id)),
    ...(offers.pool === undefined ? [] : [exact('pool', offers.pool)]),
    // Without a sandbox the input root is wherever the worker's folder is.
    ...(offers.level === 'none'
      ? []
      : [{ name: 'InputRootAbsolutePath', value: INPUT_ROOT_PATH, treatment: Treatment.ANY }]),
    ...Array.from(offers.properties, ([name, value]) => exact(name, value)),
    ...offers.acceptedNames.map((name) => ({ name, value: '', treatment: Treatment.ANY })),
  ];
  return properties.sort((a, b) => compare(a.name, b.name) || compare(a.value, b.value));
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
