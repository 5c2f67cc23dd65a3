import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { LevelRecords } from '../../cache/actions/level-records.ts';
import { DiskBlobStore } from '../../cache/disk/disk-blob-store.ts';
import { bytesOf } from '../../core/streams.ts';
import { readAll, sampleBlob } from '../cache/bytes.ts';
import { recordingLogger } from '../setup/recording-logger.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { fault } from './fault.ts';

const KEYS = Array.from({ length: 3000 }, (_, index) => `key ${index}`);
const textOf = (key: string) => `${key} `.repeat(20 + (key.length % 7) * 10);

/** Records in a log and, reopened in between, in a table. */
async function fill(folder: string): Promise<void> {
  for (const keys of [KEYS.slice(0, 1500), KEYS.slice(1500)]) {
    await using records = await LevelRecords.open({ folder, logger: recordingLogger() });
    await Promise.all(keys.map((key) => records.put(key, Buffer.from(textOf(key)))));
  }
}

async function filesOf(folder: string, ending: RegExp): Promise<string[]> {
  return (await readdir(folder)).filter((name) => ending.test(name)).map((name) => join(folder, name));
}

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[Math.floor(at * (bytes.length - 1))]! ^= 4;
  await writeFile(path, bytes);
}

const DAMAGES: [string, (folder: string) => Promise<void>][] = [
  ['a flipped bit early in the log', async (folder) => flip((await filesOf(folder, /\.log$/))[0]!, 0.1)],
  ['a flipped bit late in the log', async (folder) => flip((await filesOf(folder, /\.log$/))[0]!, 0.9)],
  [
    'flipped bits in the tables',
    async (folder) => {
      for (const path of await filesOf(folder, /\.ldb$/))
        for (const at of [0.1, 0.5, 0.99]) await flip(path, at);
    },
  ],
  ['a deleted table', async (folder) => rm((await filesOf(folder, /\.ldb$/))[0]!)],
  ['a cut MANIFEST', async (folder) => truncate((await filesOf(folder, /^MANIFEST/))[0]!, 20)],
  ['an empty MANIFEST', async (folder) => truncate((await filesOf(folder, /^MANIFEST/))[0]!, 0)],
  ['a deleted MANIFEST', async (folder) => rm((await filesOf(folder, /^MANIFEST/))[0]!)],
  ['an empty CURRENT', async (folder) => truncate(join(folder, 'CURRENT'), 0)],
  ['a CURRENT of nonsense', async (folder) => writeFile(join(folder, 'CURRENT'), 'MANIFEST-999999\n')],
  ['a deleted CURRENT', async (folder) => rm(join(folder, 'CURRENT'))],
  ['a stale LOCK', async (folder) => writeFile(join(folder, 'LOCK'), 'someone')],
];

for (const [what, inflict] of DAMAGES) {
  fault('R13', `the action cache's database has ${what}`, async (saw) => {
    await using temp = await tempFolder();
    const folder = join(temp.path, 'ac-v1');
    await fill(folder);
    await inflict(folder);
    const logger = recordingLogger();
    let found = 0;
    {
      await using records = await LevelRecords.open({ folder, logger });
      for (const key of KEYS) {
        const value = await records.get(key);
        if (value === undefined) continue;
        found += 1;
        expect(Buffer.from(value).toString()).toBe(textOf(key));
      }
      await records.put('new', Buffer.from('value'));
    }
    await using again = await LevelRecords.open({ folder, logger });
    expect(Buffer.from((await again.get('new')) ?? []).toString()).toBe('value');
    const wasSetAside = (await readdir(temp.path)).includes('ac-v1.damaged');
    const messages = logger.at('error').map(({ message }) => message);
    saw(
      `no wrong value; ${found} of ${KEYS.length} records found, ${wasSetAside ? 'begun anew' : 'opened as it was'}`,
    );
    expect(messages.includes('the database is damaged: it was set aside, and is begun anew, empty')).toBe(
      wasSetAside,
    );
    expect(wasSetAside && found > 0).toBe(false);
  });
}

/** The bar: as many blobs as this are served again within this time when every index of them is gone. */
const BLOBS = 100_000;
const REBUILT_MS = 10_000;
const AT_ONCE = 2000;

fault('R13', `every index of ${BLOBS} small blobs is deleted`, async (saw) => {
  await using temp = await tempFolder();
  const logger = recordingLogger();
  const settings = { folder: temp.path, recentBlobBytes: 0, invocationTtlMs: 600_000, logger };
  const sampleOf = (index: number) => sampleBlob(200 + (index % 1000), 13_000_000 + index);
  {
    await using disk = await DiskBlobStore.open({ ...settings, segmentBytes: 8 * 2 ** 20 });
    const store = disk.forInstance('');
    for (let first = 0; first < BLOBS; first += AT_ONCE) {
      const samples = Array.from({ length: AT_ONCE }, (_, index) => sampleOf(first + index));
      await Promise.all(samples.map(({ digest, bytes }) => store.write(digest, bytesOf(bytes))));
    }
  }
  const sidecars = await filesOf(join(temp.path, 'segments-v1'), /\.idx$/);
  expect(sidecars.length).toBeGreaterThan(3);
  for (const path of sidecars) await rm(path);

  const startedMs = performance.now();
  await using disk = await DiskBlobStore.open(settings);
  const ms = performance.now() - startedMs;
  expect(disk.stats.blobs).toBe(BLOBS);
  for (let index = 0; index < BLOBS; index += 997) {
    const { digest, bytes } = sampleOf(index);
    expect((await readAll(disk.forInstance(''), digest))?.equals(bytes)).toBe(true);
  }
  const read = logger
    .at('info')
    .filter(({ message }) => message === 'a segment was read for want of a sidecar');
  expect(read.length).toBeGreaterThanOrEqual(sidecars.length);
  saw(`${BLOBS} blobs were found again in ${ms.toFixed(0)} ms from ${read.length} segments, and said so`);
  expect(ms).toBeLessThan(REBUILT_MS);
});
