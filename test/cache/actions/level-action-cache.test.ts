import { join } from 'node:path';
import { Level } from 'level';
import { describe, expect, it } from 'vitest';
import { LevelActionCache } from '../../../cache/actions/level-action-cache.ts';
import { LevelRecords } from '../../../cache/actions/level-records.ts';
import { Digest } from '../../../core/digest.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { recordingLogger } from '../../setup/recording-logger.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { actionCacheContract } from '../action-cache-contract.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';
import { actionKey, result, shown } from '../results.ts';

async function openCache() {
  const folder = await tempFolder();
  const path = join(folder.path, 'ac');
  const records = await LevelRecords.open({ folder: path, logger: silentLogger });
  return {
    path,
    records,
    actionCache: new LevelActionCache({ records, logger: silentLogger }),
    blobStore: new MemoryBlobStore(),
    async [Symbol.asyncDispose]() {
      await records.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

actionCacheContract('LevelActionCache', openCache);

describe('LevelActionCache', () => {
  it('keeps results over a restart', async () => {
    await using opened = await openCache();
    const key = actionKey(1);
    await opened.actionCache.put(key, result({ stdoutRaw: Buffer.from('kept') }));
    await opened.records.close();
    await using records = await LevelRecords.open({ folder: opened.path, logger: silentLogger });
    const again = new LevelActionCache({ records, logger: silentLogger });
    expect(shown(await again.get(key))).toEqual(shown(result({ stdoutRaw: Buffer.from('kept') })));
  });

  it('tells actions apart by their hash, not by the size someone says they have', async () => {
    await using opened = await openCache();
    const { actionDigest } = actionKey(1);
    await opened.actionCache.put({ instanceName: '', actionDigest }, result({ stdoutRaw: Buffer.from('x') }));
    const otherSize = Digest.of(actionDigest.hash, 7);
    expect(await opened.actionCache.get({ instanceName: '', actionDigest: otherSize })).toBeDefined();
  });

  it('drops a result only while it is the one that was judged', async () => {
    await using opened = await openCache();
    const key = actionKey(1);
    const old = result({ stdoutRaw: Buffer.from('old') });
    const fresh = result({ stdoutRaw: Buffer.from('fresh') });
    await opened.actionCache.put(key, fresh);
    await opened.actionCache.drop(key, old);
    expect(shown(await opened.actionCache.get(key))).toEqual(shown(fresh));
    await Promise.all([opened.actionCache.put(key, old), opened.actionCache.drop(key, fresh)]);
    expect(shown(await opened.actionCache.get(key))).toEqual(shown(old));
    await opened.actionCache.drop(key, old);
    expect(await opened.actionCache.get(key)).toBeUndefined();
  });
});

describe('LevelRecords', () => {
  it('takes a damaged record, or one under another key, for absent, and logs it', async () => {
    await using opened = await openCache();
    await opened.records.put('a', Buffer.from('value'));
    await opened.records.put('b', Buffer.from('value'));
    await opened.records.close();
    const level = new Level<string, Buffer>(opened.path, { valueEncoding: 'buffer' });
    const record = Buffer.from((await level.get('a')) as Buffer);
    record[record.length - 1]! ^= 1;
    await level.put('a', record);
    await level.put('moved', (await level.get('b')) as Buffer);
    await level.put('short', Buffer.from('x'));
    await level.close();
    const logger = recordingLogger();
    await using records = await LevelRecords.open({ folder: opened.path, logger });
    expect(await records.get('a')).toBeUndefined();
    expect(await records.get('moved')).toBeUndefined();
    expect(await records.get('short')).toBeUndefined();
    expect(Buffer.from((await records.get('b')) as Uint8Array).toString()).toBe('value');
    expect(logger.at('error').map(({ message }) => message)).toEqual(
      Array(3).fill('a damaged record is taken for absent'),
    );
  });

  it('refuses a folder that is open already, naming it', async () => {
    await using opened = await openCache();
    await expect(LevelRecords.open({ folder: opened.path, logger: silentLogger })).rejects.toThrow(
      `Open database ${opened.path}: another process has it open`,
    );
  });
});
