import type { Finding } from './finding.ts';

/** What it means for the sandbox who runs the worker. */
export function checkUser(uid: number | undefined): Finding {
  if (uid === 0) return { check: 'user', status: 'ok', detail: 'root: each action gets a user of its own' };
  return {
    check: 'user',
    status: 'note',
    detail: `uid ${uid ?? 'unknown'}, not root: a worker of this user can give the sandbox level basic, not strict`,
  };
}
