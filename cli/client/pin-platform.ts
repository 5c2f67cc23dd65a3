import { WorkerProperty_Treatment as Treatment, type WorkerProperty } from '../../proto/gen/ingot/v1/bus.ts';
import type { WorkerStatus } from '../../proto/gen/ingot/v1/farm.ts';
import type { NamedValues } from './action-message.ts';
import {
  parseToolchainProperty,
  TOOLCHAIN_PROPERTY,
  type ToolchainProperty,
  toolchainsMentioned,
} from './toolchain-property.ts';

/** The platform property that names a host's compilers and libc by a hash. */
const IMAGE_PROPERTY = 'image';

/** An action's platform with what we added to it, and a sentence on each addition. */
export interface PinnedPlatform {
  readonly platform: NamedValues;
  readonly notes: readonly string[];
  /** Something a result may depend on could not be pinned. */
  readonly warnings: readonly string[];
}

/**
 * Adds to a platform which compilers the action is to run with, as the farm's workers announce them, so that the
 * action's digest changes when they do: a new compiler never gives an old result. What the person named stays.
 */
export function pinPlatform(
  workers: readonly WorkerStatus[],
  requested: NamedValues,
  commandLine: readonly string[],
): PinnedPlatform {
  const platform = [...requested];
  const notes: string[] = [];
  const warnings: string[] = [];
  let candidates = workers.filter((worker) => offersAll(worker, requested));
  if (candidates.length === 0) candidates = [...workers];

  if (!requested.some(({ name }) => name === TOOLCHAIN_PROPERTY)) {
    for (const name of toolchainsMentioned(commandLine)) {
      const found = newestToolchain(candidates, name);
      if (found === undefined) {
        warnings.push(
          `no worker announces a ${name} toolchain, so the command can only find one that the machine itself has, and the ` +
            `result is not tied to it (\`ingot toolchain add ${name}\` on a worker's machine, then start it again)`,
        );
        continue;
      }
      platform.push({ name: TOOLCHAIN_PROPERTY, value: found.chosen.value });
      candidates = candidates.filter((worker) =>
        values(worker, TOOLCHAIN_PROPERTY).includes(found.chosen.value),
      );
      notes.push(`toolchain ${found.chosen.value}${choice(found.others, 'the newest')}`);
    }
  }
  if (!requested.some(({ name }) => name === IMAGE_PROPERTY)) {
    const [image, ...others] = imagesByUse(candidates);
    if (image !== undefined) {
      platform.push({ name: IMAGE_PROPERTY, value: image });
      notes.push(`image ${image}${choice(others, 'the one most workers have')}`);
    }
  }
  return { platform, notes, warnings };
}

function choice(others: readonly string[], why: string): string {
  return others.length === 0 ? '' : `, ${why}; also there: ${others.join(', ')}`;
}

function newestToolchain(
  workers: readonly WorkerStatus[],
  name: string,
): { readonly chosen: ToolchainProperty; readonly others: readonly string[] } | undefined {
  const all = new Set(workers.flatMap((worker) => values(worker, TOOLCHAIN_PROPERTY)));
  const [chosen, ...others] = [...all]
    .map(parseToolchainProperty)
    .filter((property) => property?.name === name)
    .filter((property) => property !== undefined)
    .sort((a, b) => compareVersions(b.version, a.version) || (a.value < b.value ? -1 : 1));
  return chosen && { chosen, others: others.map(({ value }) => value) };
}

function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

function imagesByUse(workers: readonly WorkerStatus[]): string[] {
  const uses = new Map<string, number>();
  for (const worker of workers) {
    for (const value of values(worker, IMAGE_PROPERTY)) uses.set(value, (uses.get(value) ?? 0) + 1);
  }
  return [...uses].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)).map(([value]) => value);
}

function values(worker: WorkerStatus, name: string): string[] {
  return worker.properties.filter((property) => property.name === name).map(({ value }) => value);
}

function offersAll(worker: WorkerStatus, requested: NamedValues): boolean {
  return requested.every(({ name, value }) =>
    worker.properties.some((property) => offers(property, name, value)),
  );
}

/** Only a guess at what the scheduler will find: it alone knows, and says, whether an action can be placed. */
function offers(property: WorkerProperty, name: string, value: string): boolean {
  if (property.name !== name) return false;
  return property.treatment !== Treatment.EXACT || property.value === value;
}
