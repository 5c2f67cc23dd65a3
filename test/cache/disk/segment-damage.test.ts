import { randomInt } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf } from '../../../core/streams.ts';
import { damageStoredBlob } from '../../setup/stored-blobs.ts';
import { readAll, sampleBlob } from '../bytes.ts';
import { openDiskStore } from './open-disk-store.ts';

const BLOBS = Array.from({ length: 60 }, (_, seed) => sampleBlob(200 + seed * 37, seed));

async function filledStore(segmentBytes = 16 * 1024) {
  const opened = await openDiskStore({ segmentBytes });
  await Promise.all(BLOBS.map(({ bytes, digest }) => opened.store.write(digest, bytesOf(bytes))));
  return opened;
}

type Store = Awaited<ReturnType<typeof filledStore>>;

/** Blobs that are still there; fails on a wrong byte, and on one that is found but cannot be read. */
async function survivors({ store }: Store): Promise<number> {
  let count = 0;
  for (const { bytes, digest } of BLOBS) {
    const seen = await readAll(store, digest);
    if (seen === undefined) {
      expect(await store.findMissing([digest])).toEqual([digest]);
      continue;
    }
    expect(seen.equals(bytes), `blob ${digest}`).toBe(true);
    count += 1;
  }
  return count;
}

async function heal({ store }: Store): Promise<void> {
  await Promise.all(BLOBS.map(({ bytes, digest }) => store.write(digest, bytesOf(bytes))));
}

describe('damage to segments', () => {
  it('of any kind never gives wrong bytes, and an upload heals it', async () => {
    const damage = fc.record({
      file: fc.nat(),
      kind: fc.constantFrom('flip', 'cut', 'zero', 'delete'),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      length: fc.integer({ min: 1, max: 3000 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 4 }), async (damages) => {
        await using opened = await filledStore();
        await opened.reopen(async () => {
          for (const { file, kind, at, length } of damages) {
            const names = (await readdir(opened.segments)).sort();
            const path = join(opened.segments, names[file % names.length] ?? '');
            const bytes = await readFile(path);
            const start = Math.floor(at * Math.max(0, bytes.length - 1));
            if (kind === 'delete') await rm(path);
            else if (kind === 'cut') await writeFile(path, bytes.subarray(0, start));
            else {
              if (bytes.length === 0) continue;
              if (kind === 'flip') bytes[start]! ^= 1 << (length % 8);
              else bytes.fill(0, start, Math.min(bytes.length, start + length));
              await writeFile(path, bytes);
            }
          }
        });
        await survivors(opened);
        await heal(opened);
        expect(await survivors(opened)).toBe(BLOBS.length);
        await opened.reopen();
        expect(await survivors(opened)).toBe(BLOBS.length);
      }),
      { numRuns: 20 },
    );
  }, 60_000);

  it('costs one blob when one bit flips, found at the first read, kept in quarantine and struck off for good', async () => {
    await using opened = await filledStore();
    const { digest } = BLOBS[20]!;
    await damageStoredBlob(opened.folder, digest);
    expect(await opened.store.findMissing([digest])).toEqual([]);
    const reads = await Promise.all([1, 2, 3].map(() => opened.store.read(digest)));
    expect(reads).toEqual([undefined, undefined, undefined]);
    expect(opened.disk.stats.corruptBlobs).toBe(1);
    expect(await readdir(join(opened.folder, 'quarantine'))).toEqual([digest.hash]);
    expect(await survivors(opened)).toBe(BLOBS.length - 1);
    await opened.reopen();
    expect(await opened.store.findMissing([digest])).toEqual([digest]);
    await heal(opened);
    await opened.reopen();
    expect(await survivors(opened)).toBe(BLOBS.length);
  });

  it('is after a restart as it was before, whatever was struck off, stored again and linked side by side', async () => {
    const others = Array.from({ length: 200 }, (_, seed) => sampleBlob(100 + seed * 7, 500 + seed));
    for (let round = 0; round < 5; round += 1) {
      await using opened = await filledStore(8 * 1024);
      const damaged = BLOBS.filter((_, at) => at % 7 === round);
      for (const { digest } of damaged) await damageStoredBlob(opened.folder, digest);
      const noise = others.map(({ bytes, digest }) => opened.store.write(digest, bytesOf(bytes)));
      const other = () => opened.disk.forInstance('other');
      await Promise.all([
        ...noise,
        ...damaged.map(async ({ bytes, digest }) => {
          expect(await opened.store.read(digest)).toBeUndefined();
          await opened.store.write(digest, bytesOf(bytes));
          await other().write(digest, bytesOf(bytes));
        }),
        ...BLOBS.filter((_, at) => at % 7 !== round).map(({ bytes, digest }) =>
          other().write(digest, bytesOf(bytes)),
        ),
      ]);
      const digests = BLOBS.map(({ digest }) => digest);
      const check = async () => {
        expect(await survivors(opened)).toBe(BLOBS.length);
        expect(await other().findMissing(digests)).toEqual([]);
        expect(await opened.store.findMissing(others.map(({ digest }) => digest))).toEqual([]);
      };
      await check();
      await opened.reopen();
      await check();
      await opened.reopen(async () => {
        for (const name of await opened.segmentFiles('.idx')) await rm(join(opened.segments, name));
      });
      await check();
    }
  });

  it('checks the whole of a small blob before it hands out a part', async () => {
    await using opened = await filledStore();
    const { digest } = BLOBS[20]!;
    await damageStoredBlob(opened.folder, digest, (bytes) => {
      bytes[bytes.length - 1]! ^= 1;
    });
    expect(await opened.store.read(digest, { offset: 0, limit: 5 })).toBeUndefined();
    expect(opened.disk.stats.corruptBlobs).toBe(1);
  });

  it('in the middle of a segment without a sidecar loses only the records it hits', async () => {
    await using opened = await filledStore(1024 * 1024);
    const [name = ''] = await opened.segmentFiles();
    await opened.reopen(() =>
      opened.damage(join(opened.segments, name), (bytes) => bytes.fill(0xff, 20_000, 20_100)),
    );
    const found = await survivors(opened);
    expect(found).toBeGreaterThanOrEqual(BLOBS.length - 2);
    expect(found).toBeLessThan(BLOBS.length);
  });

  it('of one copy of a head costs nothing', async () => {
    await using opened = await filledStore();
    for (const at of [3, 40]) {
      await opened.reopen(async () => {
        for (const name of await opened.segmentFiles('.idx')) await rm(join(opened.segments, name));
        for (const name of await opened.segmentFiles()) {
          await opened.damage(join(opened.segments, name), (bytes) => {
            bytes[at]! ^= 1;
            return undefined;
          });
        }
      });
      expect(await survivors(opened)).toBe(at === 3 ? BLOBS.length : 0);
    }
    await heal(opened);
    expect(await survivors(opened)).toBe(BLOBS.length);
  });

  it('a torn tail is cut off, and appended to as if nothing had been', async () => {
    for (let round = 0; round < 20; round += 1) {
      await using opened = await filledStore(1024 * 1024);
      const names = (await opened.segmentFiles()).toSorted();
      const name = names.at(-1) ?? '';
      const cut = randomInt(100, 3000);
      await opened.reopen(() =>
        opened.damage(join(opened.segments, name), (bytes) => bytes.subarray(0, bytes.length - cut)),
      );
      expect(await survivors(opened)).toBeGreaterThan(BLOBS.length - 4);
      for (const { bytes, digest } of BLOBS) await opened.store.write(digest, bytesOf(bytes));
      await opened.reopen();
      expect(await survivors(opened)).toBe(BLOBS.length);
      expect((await opened.segmentFiles()).toSorted()).toEqual(names);
    }
  });
});
