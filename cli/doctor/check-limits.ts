import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Finding } from './finding.ts';

/** Each upload and each blob being read holds one; fewer than this and a busy farm fails. */
const OPEN_FILES_MIN = 1024;
/** What hundreds of clients at once take. */
const OPEN_FILES_GOOD = 8192;

/** How many files a process may have open; Node raises its own limit to the hard one. */
export async function checkOpenFiles(limitsFile = '/proc/self/limits'): Promise<Finding> {
  const text = await readFile(limitsFile, 'utf8').catch(() => '');
  const [, soft, hard] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(text) ?? [];
  if (soft === undefined || hard === undefined) {
    return { check: 'open files', status: 'note', detail: `the limit cannot be read from ${limitsFile}` };
  }
  const limit = soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
  if (limit >= OPEN_FILES_GOOD) return { check: 'open files', status: 'ok', detail: `${soft} at once` };
  return {
    check: 'open files',
    status: limit < OPEN_FILES_MIN ? 'missing' : 'note',
    detail: `${soft} at once, expected ${OPEN_FILES_GOOD}`,
    fix: hard === soft ? `raise the hard limit (LimitNOFILE= of systemd)` : `ulimit -n ${hard}`,
  };
}

/** A port `ingot up` listens on unless told otherwise. In use is only a note: it may be the farm itself. */
export async function checkPort(port: number, use: string): Promise<Finding> {
  const check = `port ${port}`;
  const problem = await listenOnce(port);
  if (problem === undefined) return { check, status: 'ok', detail: `free, for ${use}` };
  const what =
    problem === 'EADDRINUSE' ? 'in use, perhaps by a farm that runs' : `cannot be used (${problem})`;
  return { check, status: 'note', detail: what, fix: `ingot up --${use} 127.0.0.1:PORT chooses another` };
}

async function listenOnce(port: number): Promise<string | undefined> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(undefined)));
  return promise;
}
