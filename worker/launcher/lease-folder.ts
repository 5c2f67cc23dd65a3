import { join } from 'node:path';
import { invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';

const LEASE_KEY = /^[a-z0-9][a-z0-9-]{0,63}$/;

/** Where one lease's files are: `WORKER/work/KEY/{root,tmp,stdout,stderr}`. */
export interface LeaseFolder {
  readonly path: string;
  /** The input root. */
  readonly root: string;
  /** Temporary files of commands without a sandbox; others have a tmpfs. */
  readonly tmp: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** The folder of all leases. */
export function workFolderOf(workerFolder: string): string {
  return join(workerFolder, 'work');
}

/** The folder of a lease; INVALID_ARGUMENT for a key that could lead elsewhere. */
export function leaseFolderOf(workerFolder: string, leaseKey: string): LeaseFolder {
  if (!LEASE_KEY.test(leaseKey)) throw invalidArgument(`lease key ${quote(leaseKey)} is malformed`);
  const path = join(workFolderOf(workerFolder), leaseKey);
  return {
    path,
    root: join(path, 'root'),
    tmp: join(path, 'tmp'),
    stdout: join(path, 'stdout'),
    stderr: join(path, 'stderr'),
  };
}
