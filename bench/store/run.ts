import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DiskBlobStore } from '../../cache/disk/disk-blob-store.ts';
import { Digest } from '../../core/digest.ts';
import { silentLogger } from '../../core/log/logger.ts';
import { bytesOf } from '../../core/streams.ts';
import { aligned } from '../peers/ratio-table.ts';

/**
 * Question: how many times as many small blobs a second does the store make durable in segments as in a file each? No
 * network, no client: what is compared is the store. See README.md.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    writers: { type: 'string', default: '64' },
    folder: { type: 'string', default: tmpdir() },
    full: { type: 'boolean', default: false },
  },
});
const SIZES = [1024, 4096, 16_384];
const STORES = { segments: undefined, files: 0 } as const;
/** Faster than any disk known. */
const BLOBS_PER_SECOND_MAX = 200_000;
const WARM_UP_SECONDS = 0.5;
/** What a full store holds. */
const FULL_BLOBS = 16_000;
type Kind = keyof typeof STORES;

interface Figures {
  readonly rate: number;
  readonly cpuUs: number;
}

// As many threads for the file system as the cache has (cli/ingot.js); libuv looks before this line is reached.
if (process.env.UV_THREADPOOL_SIZE === undefined) {
  const env = { ...process.env, UV_THREADPOOL_SIZE: '64' };
  const { status } = spawnSync(process.execPath, process.argv.slice(1), { stdio: 'inherit', env });
  process.exit(status ?? 1);
}

/** Blobs like no other, whose digests were made before the time runs: they are the client's work. */
class Blobs {
  readonly #base: Buffer;
  readonly #digests: Digest[];
  #next = 0;

  constructor(sizeBytes: number, count: number) {
    this.#base = randomBytes(sizeBytes);
    const memory = Buffer.allocUnsafeSlow(sizeBytes);
    this.#digests = Array.from({ length: count }, (_, at) => Digest.ofBytes(this.#bytesOf(at, memory)));
  }

  /** Its bytes are in the memory given, which each writer has of its own. */
  next(memory: Buffer): { readonly bytes: Buffer; readonly digest: Digest } {
    const at = this.#next++;
    const digest = this.#digests[at];
    if (digest === undefined)
      throw new Error(`more than ${this.#digests.length} blobs were written: raise the limit`);
    return { bytes: this.#bytesOf(at, memory), digest };
  }

  #bytesOf(at: number, memory: Buffer): Buffer {
    this.#base.copy(memory);
    memory.writeUInt32LE(at);
    return memory;
  }
}

const figures = new Map<string, Figures[]>();
// Removed at the end: ext4 is slow to give the inodes of files that have just gone to new ones.
const parent = await mkdtemp(join(values.folder, 'ingot-bench-store-'));
process.once('exit', () => rmSync(parent, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const sizeBytes of SIZES) {
    for (const kind of ['segments', 'files'] as const) {
      console.error(`round ${round} of ${values.rounds}: ${sizeBytes} bytes, ${kind}`);
      const key = `${sizeBytes} ${kind}`;
      figures.set(key, [...(figures.get(key) ?? []), await measure(kind, sizeBytes)]);
    }
  }
}
const shown = ({ rate, cpuUs }: Figures, sizeBytes: number) => [
  rate.toFixed(0),
  ((rate * sizeBytes) / 1e6).toFixed(0),
  cpuUs.toFixed(0),
];
const lines = SIZES.map((sizeBytes) => {
  const [segments, files] = [medianOf(`${sizeBytes} segments`), medianOf(`${sizeBytes} files`)];
  const ratio = (segments.rate / files.rate).toFixed(1);
  return [`${sizeBytes / 1024} KiB`, '', ...shown(segments, sizeBytes), ...shown(files, sizeBytes), ratio];
});
const head = ['segments/s', 'MB/s', 'cpu µs', 'files/s', 'MB/s', 'cpu µs', 'ratio'];
console.log(aligned([['durable writes', '', ...head], ...lines]));

/** Blobs nobody has stored before, written by several at once until the time is up; a full store evicts others for them. */
async function measure(kind: Kind, sizeBytes: number): Promise<Figures> {
  const folder = await mkdtemp(join(parent, `${kind}-`));
  const smallBlobBytesMax = STORES[kind];
  const disk = await DiskBlobStore.open({
    folder,
    logger: silentLogger,
    recentBlobBytes: 0,
    invocationTtlMs: 60_000,
    ...(smallBlobBytesMax === undefined ? {} : { smallBlobBytesMax }),
    ...(values.full && { limitBytes: FULL_BLOBS * sizeBytes }),
  });
  try {
    const store = disk.forInstance('');
    let written = 0;
    const seconds = Number(values.seconds);
    const measuredBlobs = Math.ceil((WARM_UP_SECONDS + seconds) * BLOBS_PER_SECOND_MAX);
    const blobs = new Blobs(sizeBytes, (values.full ? FULL_BLOBS : 0) + measuredBlobs);
    const writeWhile = async (isOn: () => boolean): Promise<void> => {
      const memory = Buffer.allocUnsafeSlow(sizeBytes);
      while (isOn()) {
        const { bytes, digest } = blobs.next(memory);
        await store.write(digest, bytesOf(bytes));
        written += 1;
      }
    };
    const together = (isOn: () => boolean) =>
      Promise.all(Array.from({ length: Number(values.writers) }, () => writeWhile(isOn)));
    const lasting = (seconds: number) => {
      const endMs = performance.now() + seconds * 1000;
      return () => performance.now() < endMs;
    };
    if (values.full) await together(() => written < FULL_BLOBS);
    await together(lasting(WARM_UP_SECONDS));
    written = 0;
    const [startMs, cpu] = [performance.now(), process.cpuUsage()];
    await together(lasting(seconds));
    const { user, system } = process.cpuUsage(cpu);
    return { rate: (written * 1000) / (performance.now() - startMs), cpuUs: (user + system) / written };
  } finally {
    await disk.close();
  }
}

function medianOf(key: string): Figures {
  const sorted = (figures.get(key) ?? []).toSorted((a, b) => a.rate - b.rate);
  const median = sorted[Math.floor(sorted.length / 2)];
  if (median === undefined) throw new Error(`nothing was measured of ${key}`);
  return median;
}
