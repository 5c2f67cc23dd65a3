import { type Caller, type CallerRole, callerRoleNames, callerRoles } from '../caller.ts';
import { invalidArgument } from '../error.ts';
import { quote } from '../quote.ts';
import { checkInstanceName } from '../resource-name.ts';

/** Which names have which role: `ci-*`, and the instances it may use. */
export interface CallerRule {
  readonly pattern: string;
  readonly role: CallerRole;
  /** Undefined means any. */
  readonly instances: readonly string[] | undefined;
}

/** `PATTERN=ROLE` or `PATTERN=ROLE:INSTANCE+INSTANCE`; `*` in the pattern stands for anything. INVALID_ARGUMENT else. */
export function parseCallerRule(text: string): CallerRule {
  const [, pattern, word, names] = /^([^=]+)=([a-z]+)(?::(.*))?$/.exec(text) ?? [];
  const role = callerRoleNames.find((name) => name === word);
  if (pattern === undefined || role === undefined) {
    throw invalidArgument(
      `${quote(text)} is not PATTERN=ROLE or PATTERN=ROLE:INSTANCE+INSTANCE with a role of ${callerRoleNames.join(', ')}`,
    );
  }
  const instances = names?.split('+');
  for (const name of instances ?? []) checkInstanceName(name);
  return { pattern, role, instances };
}

/** The caller of this name by the first rule that fits it; undefined when none does. */
export function callerByRules(name: string, rules: readonly CallerRule[]): Caller | undefined {
  const rule = rules.find(({ pattern }) => matches(pattern, name));
  if (rule === undefined) return undefined;
  return {
    name,
    rights: new Set(callerRoles[rule.role]),
    instanceNames: rule.instances === undefined ? undefined : new Set(rule.instances),
  };
}

/** Walks both once, with a step back to the last star; a regular expression made of the pattern could take for ever. */
function matches(pattern: string, name: string): boolean {
  let [at, position, star, mark] = [0, 0, -1, 0];
  while (position < name.length) {
    if (pattern[at] === '*') {
      star = at++;
      mark = position;
    } else if (pattern[at] === name[position]) {
      at++;
      position++;
    } else if (star !== -1) {
      at = star + 1;
      position = ++mark;
    } else {
      return false;
    }
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}
