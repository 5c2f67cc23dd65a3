import { execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Epoch, writeCheckpoint, writeNextEpoch } from '../../test/setup/checkpoint-file.ts';
import { CountingProxy } from '../../test/setup/counting-proxy.ts';

/**
 * Question: what does the next epoch of a checkpoint cost, on the wire, on the disk and in time? Files of weights are
 * uploaded and downloaded by `ingot` in processes of its own, through a proxy that counts the bytes on the socket, and
 * compared byte for byte. Prints a table, or JSON with --json.
 */
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    mib: { type: 'string', default: '1024' },
    folder: { type: 'string', default: tmpdir() },
  },
});
const MIB = 1024 * 1024;
const EPOCHS: readonly (readonly [string, Epoch])[] = [
  ['the same again', { changedShare: 0, regions: 1 }],
  ['1 byte put in front', { changedShare: 0, regions: 1, insertedBytes: 1 }],
  ['5 % changed, in 4 stretches', { changedShare: 0.05, regions: 4 }],
  ['5 % changed, in 16 stretches', { changedShare: 0.05, regions: 16 }],
  ['5 % in 4 stretches, 1 byte in front', { changedShare: 0.05, regions: 4, insertedBytes: 1 }],
];

interface Row {
  readonly what: string;
  readonly sentMib: number;
  readonly sentShare: number;
  readonly storedMib: number;
  readonly uploadS: number;
  readonly downloadS: number;
  readonly bitEqual: boolean;
}

const folder = await mkdtemp(join(values.folder, 'ingot-checkpoint-'));
const path = (name: string): string => join(folder, name);
const server = fork(join(import.meta.dirname, 'cache-server.ts'), [path('data')]);
try {
  const [{ port }] = await once(server, 'message');
  const rows = await measure(port);
  server.send('memory');
  const [{ rssMaxBytes }] = await once(server, 'message');
  const result = { checkpointMib: Number(values.mib), serverMemoryMaxMib: mib(rssMaxBytes), rows };
  if (values.json) {
    console.log(JSON.stringify(result));
  } else {
    console.table(Object.fromEntries(rows.map(({ what, ...figures }) => [what, figures])));
    console.log(`peak memory of the server: ${result.serverMemoryMaxMib} MiB`);
  }
} finally {
  server.disconnect();
  await once(server, 'exit');
  await rm(folder, { recursive: true, force: true });
}

async function measure(port: number): Promise<Row[]> {
  await using proxy = await CountingProxy.open(port);
  const sizeBytes = Number(values.mib) * MIB;
  await writeCheckpoint(path('first'), sizeBytes);
  const first = await transfer('the first', 'first', proxy);
  const rows = [first];
  for (const [index, [what, epoch]] of EPOCHS.entries()) {
    await writeNextEpoch(path('first'), path('next'), epoch, 100 + index);
    rows.push(await transfer(what, 'next', proxy));
  }
  return rows.map((row) => ({ ...row, sentShare: round(row.sentMib / first.sentMib, 4) }));
}

/** Uploads the file, downloads it and compares. */
async function transfer(what: string, name: string, proxy: CountingProxy): Promise<Row> {
  const storedBefore = storedBytes();
  proxy.take();
  const up = await ingot(proxy.port, 'upload', name);
  const { sentBytes } = proxy.take();
  const storedAfter = storedBytes();
  const [digest = ''] = up.stdout.split(' ');
  await rm(path('back'), { force: true });
  const down = await ingot(proxy.port, 'download', digest, 'back');
  return {
    what,
    sentMib: mib(sentBytes),
    sentShare: 1,
    storedMib: mib(storedAfter - storedBefore),
    uploadS: up.seconds,
    downloadS: down.seconds,
    bitEqual: isSame(name, 'back'),
  };
}

async function ingot(port: number, ...args: readonly string[]) {
  const beganMs = performance.now();
  const cli = join(import.meta.dirname, '../../cli/ingot.js');
  const child = spawn(process.execPath, [cli, '--endpoint', `127.0.0.1:${port}`, ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`ingot ${args.join(' ')} ended with ${code}`);
  return { stdout, seconds: round((performance.now() - beganMs) / 1000, 2) };
}

/** What lies on the disk, in whole blocks. */
function storedBytes(): number {
  return Number(
    execFileSync('du', ['-s', '--block-size=1', path('data')], { encoding: 'utf8' }).split('\t')[0],
  );
}

function isSame(a: string, b: string): boolean {
  try {
    execFileSync('cmp', ['--silent', path(a), path(b)]);
    return true;
  } catch {
    return false;
  }
}

function mib(bytes: number): number {
  return round(bytes / MIB, 2);
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
