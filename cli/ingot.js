#!/usr/bin/env -S node --max-semi-space-size=16
// The package's bin, and the one file here that any Node from 18 on must be able to run: no type annotations,
// nothing newer than ES2022. It sees to it that the program itself runs on Node 24.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';

const NODE_MAJOR_MIN = 24;
// Of file system calls at once. An fsync holds a thread for milliseconds; with Node's four, uploads and downloads queue
// behind each other's: 64 serve small uploads 1.4 times and large downloads 1.3 times as fast (bench/peers).
const FILE_SYSTEM_THREADS = 64;
// The space for new objects grows to 128 MiB under load, of which nothing is given back: too much for fifty slow readers
// (R18). A quarter is what it has after the start. Can only be set as Node starts: above, and for one that is started here.
const START_FLAGS = ['--max-semi-space-size=16'];
const HEAP_FLAGS = [
  // Else 64 MiB of new buffers, a fifth of a second of traffic, make the collector look through the whole heap.
  '--external-memory-accounted-in-global-limit',
  // Old objects are few, so looking through them again when there are half as many more costs next to nothing.
  '--heap-growing-percent=50',
];
const FORWARDED_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'];

const here = fileURLToPath(new URL('.', import.meta.url));

if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN) await runHere();
else runOnOwnNode();

/** Already on a Node that reads TypeScript: goes on in this process. */
async function runHere() {
  // Before anything uses the threads, after which it is not looked at again.
  process.env.UV_THREADPOOL_SIZE ??= String(FILE_SYSTEM_THREADS);
  // Keeps the compiled form of our sources and packages: a start takes half the time.
  module.enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'ingot', 'node'));
  if (process.channel !== undefined) endWithParent();
  // Before there is much to collect, and only here: another Node may know none of them.
  for (const flag of HEAP_FLAGS) setFlagsFromString(flag);
  const { main } = await import('./program.ts');
  process.exit(await main(process.argv.slice(2)));
}

/** The process that re-executed us is gone without a word (kill -9): drain as if it had said SIGTERM. */
function endWithParent() {
  process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel.unref();
}

/**
 * Starts the same command line on the Node that came with the package, and ends as it ends. A terminal's Ctrl-C
 * reaches both processes and is passed on as well; cli/interrupts.ts counts such echoes once.
 */
function runOnOwnNode() {
  const node = ownNode();
  if (node === undefined) {
    console.error(
      `error: start ingot: this is Node ${process.versions.node}, expected ${NODE_MAJOR_MIN} or newer, and the one ` +
        `that comes with the package is not installed\nhint: run \`npm ci\` in ${join(here, '..')}`,
    );
    process.exit(70);
  }
  const child = spawn(node, [...START_FLAGS, join(here, 'ingot.js'), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  for (const signal of FORWARDED_SIGNALS) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`error: start ${node}: ${error.message}`);
    process.exit(70);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 70);
    for (const name of FORWARDED_SIGNALS) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

function ownNode() {
  // Installed as a dependency of another package, ours is hoisted beside us.
  const roots = [join(here, '..', 'node_modules'), join(here, '..', '..')];
  return roots
    .flatMap((root) => [join(root, 'node', 'bin', 'node'), join(root, '.bin', 'node')])
    .find((path) => existsSync(path));
}
