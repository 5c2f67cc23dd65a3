import type { Caller } from '../caller.ts';

/** True when two callers are one and may do the same. */
export function isSameCaller(one: Caller, other: Caller): boolean {
  return (
    one === other ||
    (one.name === other.name &&
      isSameSet(one.rights, other.rights) &&
      isSameSet(one.instanceNames, other.instanceNames))
  );
}

function isSameSet<T>(one: ReadonlySet<T> | undefined, other: ReadonlySet<T> | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.size === other.size && [...one].every((item) => other.has(item));
}
