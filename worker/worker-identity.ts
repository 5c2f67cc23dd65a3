import { createHash } from 'node:crypto';

/** Room for the host's name in the id. */
const NAME_CHARACTERS_MAX = 40;
const HASH_DIGITS = 6;

/**
 * The id of a worker that was given none: the host's name, for people, and a hash that tells two workers of a host
 * apart. The same at every start.
 */
export function defaultWorkerId(hostName: string, workerFolder: string): string {
  const name = hostName.replaceAll(/[^A-Za-z0-9]+/g, '-').replaceAll(/^-|-$/g, '');
  const hash = createHash('sha256').update(`${hostName}\0${workerFolder}`).digest('hex');
  return `${name.slice(0, NAME_CHARACTERS_MAX) || 'worker'}-${hash.slice(0, HASH_DIGITS)}`;
}
