import { invalidArgument } from './error.ts';
import { quote } from './quote.ts';

/** Places in the code where a test can have the process die, to see what a crash at that point leaves behind. */
export interface FailPoints {
  /** Says that the named point is reached; does not return when it is the one to die at. */
  pass(name: string): void;
}

/** The fail points of a process that nobody wants to die: they cost one call of an empty function. */
export const noFailPoints: FailPoints = { pass: () => undefined };

const SPEC = /^([a-z_]+\.[a-z_]+)(?::([1-9][0-9]{0,8}))?$/;

/**
 * From `INGOT_FAIL`: `cas.after_write:3,ac.after_put` dies at the third pass of the one or the first of the other,
 * as if killed with -9. Names of other parts (`cas.` is a part) are left to them; an unknown one of ours is refused.
 */
export function parseFailPoints(
  spec: string | undefined,
  knownNames: readonly string[],
  die: () => void = killSelf,
): FailPoints {
  if (spec === undefined || spec === '') return noFailPoints;
  const parts = new Set(knownNames.map(partOf));
  const passesLeft = new Map<string, number>();
  for (const item of spec.split(',')) {
    const [, name, count] = SPEC.exec(item.trim()) ?? [];
    if (name === undefined) {
      throw invalidArgument(`fail point ${quote(item)}: expected a name such as cas.after_write:3`);
    }
    if (!parts.has(partOf(name))) continue;
    if (!knownNames.includes(name)) {
      throw invalidArgument(`fail point ${quote(name)} is not one of ${knownNames.join(', ')}`);
    }
    passesLeft.set(name, count === undefined ? 1 : Number(count));
  }
  if (passesLeft.size === 0) return noFailPoints;
  return {
    pass(name) {
      const left = passesLeft.get(name);
      if (left === undefined) return;
      passesLeft.set(name, left - 1);
      if (left === 1) die();
    },
  };
}

function partOf(name: string): string {
  return name.slice(0, name.indexOf('.'));
}

/** The one death that lets nothing be tidied up. */
function killSelf(): void {
  process.kill(process.pid, 'SIGKILL');
}
