import type { Caller } from '../../core/caller.ts';
import { permissionDenied } from '../../core/error.ts';

/** PERMISSION_DENIED unless the caller may file, or remove, values that others will take for true. */
export function checkMayPublish(
  what: string,
  { caller, updateEnabled }: { readonly caller: Caller; readonly updateEnabled: boolean },
): void {
  if (!updateEnabled) throw permissionDenied(`${what} is not open to clients of this cache`);
  if (!caller.rights.has('publish')) {
    throw permissionDenied(`${what} takes the right to publish, which ${caller.name} does not have`);
  }
}
