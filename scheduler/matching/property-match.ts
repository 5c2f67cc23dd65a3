import type { Platform_Property } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { WorkerProperty_Treatment as Treatment, type WorkerProperty } from '../../proto/gen/ingot/v1/bus.ts';

const NUMBER = /^-?\d{1,16}(?:\.\d{1,16})?$/;

/** True when one of the worker's values for the property's name accepts the wanted value, each in its own way. */
export function propertySatisfied(wanted: Platform_Property, offered: readonly WorkerProperty[]): boolean {
  return offered.some((property) => property.name === wanted.name && accepts(property, wanted.value));
}

function accepts({ value, treatment }: WorkerProperty, wanted: string): boolean {
  switch (treatment) {
    case Treatment.EXACT:
      return value === wanted;
    case Treatment.MINIMUM:
      return NUMBER.test(value) && NUMBER.test(wanted) && Number(value) >= Number(wanted);
    case Treatment.PREFIX:
      return value.startsWith(wanted);
    case Treatment.ANY:
      return true;
    default:
      // A treatment this version does not know: better no match than a wrong one.
      return false;
  }
}
