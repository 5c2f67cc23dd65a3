import { quote } from '../../core/quote.ts';
import type { Requirement } from './requirement.ts';
import { type Shortfall, shortfalls, type WorkerOffer } from './shortfall.ts';

/** Shortfalls a message lists; the rest are counted. */
const LISTED_MAX = 5;

/**
 * Says why no worker can run an action: the nearest worker (the one with the fewest and least shortfalls) and what it lacks.
 * Where every worker is without a property altogether, it names the flag by which a person accepts it.
 * Call it with at least one worker, none of which satisfies the requirement.
 */
export function describeUnsatisfiable(requirement: Requirement, workers: readonly WorkerOffer[]): string {
  let nearest: { worker: WorkerOffer; lacking: Shortfall[] } | undefined;
  const knownNames = new Set<string>();
  for (const worker of workers) {
    for (const { name } of worker.properties) knownNames.add(name);
    const lacking = shortfalls(requirement, worker);
    if (nearest === undefined || distanceOf(lacking) < distanceOf(nearest.lacking))
      nearest = { worker, lacking };
  }
  if (nearest === undefined) return 'no worker can run this action: there is none';
  const { worker, lacking } = nearest;
  const listed = lacking.slice(0, LISTED_MAX).map(({ text }) => text);
  if (lacking.length > LISTED_MAX) listed.push(`and ${lacking.length - LISTED_MAX} more`);
  const lackingNames = new Set(lacking.map(({ property }) => property));
  const acceptable = new Set(
    requirement.properties
      .map(({ name }) => name)
      .filter((name) => lackingNames.has(name) && !knownNames.has(name)),
  );
  const hint = acceptable.size === 0 ? '' : `; ${hintFor([...acceptable])}`;
  return `none of ${workers.length} workers can run this action; on the nearest, ${worker.workerId}, ${listed.join('; ')}${hint}`;
}

function distanceOf(lacking: readonly Shortfall[]): number {
  return lacking.reduce((sum, { absent }) => sum + (absent ? 2 : 1), 0);
}

function hintFor(names: readonly string[]): string {
  const flags = names.map((name) => `--accept ${shown(name)}`).join(' ');
  return `where the hosts stand in for it, say so with ${flags} to ingot up or ingot worker`;
}

/** Bare where it is safe to paste into a shell. */
function shown(name: string): string {
  return /^[A-Za-z0-9._-]+$/.test(name) ? name : quote(name);
}
