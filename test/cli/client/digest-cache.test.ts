import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DigestCache } from '../../../cli/client/digest-cache.ts';
import type { FileFacts } from '../../../cli/client/file-facts.ts';
import { Digest } from '../../../core/digest.ts';
import { tempFolder } from '../temp-folder.ts';

const NOW_NS = 1_000_000_000_000_000n;
const digest = Digest.ofBytes(Buffer.from('hello'));
const facts: FileFacts = {
  path: '/r/a',
  device: 1n,
  inode: 2n,
  sizeBytes: 5,
  modifiedNs: NOW_NS - 3_000_000_000n,
  changedNs: NOW_NS - 3_000_000_000n,
  isExecutable: false,
};

function open(directory: string, root = '/r'): DigestCache {
  return new DigestCache({ directory, root, nowNs: () => NOW_NS });
}

async function saved(): Promise<string> {
  const directory = tempFolder();
  const cache = open(directory);
  cache.record(facts, digest);
  await cache.save();
  return directory;
}

describe('DigestCache', () => {
  it('knows a file again after a restart', async () => {
    expect(open(await saved()).lookup(facts)?.key).toBe(digest.key);
  });

  it.each([
    ['inode', { inode: 3n }],
    ['device', { device: 9n }],
    ['size', { sizeBytes: 6 }],
    ['modification time', { modifiedNs: facts.modifiedNs + 1n }],
    ['change time', { changedNs: facts.changedNs + 1n }],
    ['path', { path: '/r/b' }],
  ])('does not know a file of another %s', async (_what, change) => {
    expect(open(await saved()).lookup({ ...facts, ...change })).toBeUndefined();
  });

  it('does not trust a file touched less than two seconds before it was hashed', () => {
    const cache = open(tempFolder());
    cache.record(facts, digest);
    const fresh = { ...facts, changedNs: NOW_NS - 1_999_999_999n };
    cache.record(fresh, digest);
    expect(cache.lookup(fresh)).toBeUndefined();
    expect(cache.lookup(facts)).toBeUndefined();
  });

  it('keeps roots apart', async () => {
    expect(open(await saved(), '/other').lookup(facts)).toBeUndefined();
  });

  it('is empty when its file is damaged', async () => {
    const directory = await saved();
    const [name = ''] = readdirSync(directory);
    const text = readFileSync(join(directory, name), 'utf8');
    writeFileSync(join(directory, name), text.replace(digest.hash, digest.hash.replace('2', '3')));
    expect(open(directory).lookup(facts)).toBeUndefined();
  });

  it('is no failure when it cannot be written', async () => {
    const file = join(tempFolder(), 'file');
    writeFileSync(file, '');
    const cache = open(join(file, 'below'));
    cache.record(facts, digest);
    await expect(cache.save()).resolves.toBeUndefined();
  });

  it('keeps what an earlier run knew and this one did not touch', async () => {
    const directory = await saved();
    const other = { ...facts, path: '/r/b' };
    const cache = open(directory);
    cache.record(other, digest);
    await cache.save();
    const later = open(directory);
    expect([later.lookup(facts)?.key, later.lookup(other)?.key]).toEqual([digest.key, digest.key]);
  });
});
