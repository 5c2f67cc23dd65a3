import { execFileSync } from 'node:child_process';
import { describe } from 'vitest';

/** Why strict sandboxes cannot be tested here; undefined when they can. */
export function strictUnavailable(): string | undefined {
  if (process.getuid?.() !== 0) return 'run the tests as root';
  for (const [program, debianPackage] of [
    ['bwrap', 'bubblewrap'],
    ['setpriv', 'util-linux'],
  ]) {
    try {
      execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    } catch {
      return `${program} is missing: apt-get install ${debianPackage}`;
    }
  }
  return undefined;
}

/** A group of tests that run actions in the strict sandbox; where that cannot be, its name says what is missing. */
export function describeStrict(name: string, tests: () => void): void {
  const lacking = strictUnavailable();
  if (lacking === undefined) describe(name, tests);
  else describe.skip(`${name} (left out, needs the strict sandbox: ${lacking})`, tests);
}
