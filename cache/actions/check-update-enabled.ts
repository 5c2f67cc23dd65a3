import { permissionDenied } from '../../core/error.ts';

/**
 * PERMISSION_DENIED unless clients of the cache may file, or remove, values that others will take for true. Whether this
 * client may is a matter of its rights, which are asked for where it comes in.
 */
export function checkUpdateEnabled(what: string, updateEnabled: boolean): void {
  if (!updateEnabled) throw permissionDenied(`${what} is not open to clients of this cache`);
}
