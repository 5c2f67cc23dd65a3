import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LevelOpaqueEntries } from '../../../cache/actions/level-opaque-entries.ts';
import { LevelRecords } from '../../../cache/actions/level-records.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { sampleBlob } from '../bytes.ts';

const { digest } = sampleBlob(10, 1);
const another = sampleBlob(20, 2).digest;

let folder: Awaited<ReturnType<typeof tempFolder>>;
let records: LevelRecords;
let entries: LevelOpaqueEntries;

beforeEach(async () => {
  folder = await tempFolder();
  records = await LevelRecords.open({ folder: `${folder.path}/ac`, logger: silentLogger });
  entries = new LevelOpaqueEntries(records, 'webdav');
});
afterEach(async () => {
  await records.close();
  await folder[Symbol.asyncDispose]();
});

async function listed(name: string, instanceName = ''): Promise<string[]> {
  const seen: string[] = [];
  for await (const child of entries.list({ instanceName, name })) {
    seen.push(child.digest === undefined ? child.name : `${child.name}=${child.digest.sizeBytes}`);
  }
  return seen;
}

describe('LevelOpaqueEntries', () => {
  it('gives the newest blob of a name, and none that was dropped', async () => {
    const key = { instanceName: 'a', name: 'x/y' };
    expect(await entries.get(key)).toBeUndefined();
    await entries.put(key, digest);
    await entries.put(key, another);
    expect((await entries.get(key))?.key).toBe(another.key);
    await entries.drop(key, digest);
    expect((await entries.get(key))?.key).toBe(another.key);
    await entries.drop(key, another);
    expect(await entries.get(key)).toBeUndefined();
  });

  it('keeps instances and key spaces apart', async () => {
    await entries.put({ instanceName: 'a', name: 'n' }, digest);
    expect(await entries.get({ instanceName: '', name: 'n' })).toBeUndefined();
    expect(
      await new LevelOpaqueEntries(records, 'opaque').get({ instanceName: 'a', name: 'n' }),
    ).toBeUndefined();
    expect([await listed('', 'a'), await listed(''), await listed('', 'b')]).toEqual([['n=10'], [], []]);
  });

  it('lists what is right below a folder, each folder once', async () => {
    for (const name of ['a', 'a/1', 'a/2', 'a/b/1', 'a/b/2', 'a0', 'ab/1', 'ü', '\u{10ffff}/x']) {
      await entries.put({ instanceName: '', name }, digest);
    }
    expect(await listed('')).toEqual(['a=10', 'a/', 'a0=10', 'ab/', 'ü=10', '\u{10ffff}/']);
    expect(await listed('a/')).toEqual(['1=10', '2=10', 'b/']);
    expect(await listed('a/b/')).toEqual(['1=10', '2=10']);
    expect(await listed('nothing/')).toEqual([]);
  });
});
