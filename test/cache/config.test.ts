import { describe, expect, it } from 'vitest';
import { cacheConfigSchema } from '../../cache/config.ts';
import { readConfig } from '../../core/config/config.ts';

describe('the cache configuration', () => {
  it('has defaults for all but the folder', () => {
    const config = readConfig({ schema: cacheConfigSchema, flags: { data: '/d' }, environment: {} });
    expect(config).toEqual({
      data: '/d',
      blobBytesMax: 256 * 2 ** 30,
      recentBlobBytes: 32 * 2 ** 20,
      actionCacheUpdates: true,
    });
  });

  it('is read from the environment', () => {
    const environment = {
      INGOT_DATA: '/e',
      INGOT_BLOB_BYTES_MAX: '10MiB',
      INGOT_ACTION_CACHE_UPDATES: 'false',
      INGOT_FAIL: 'cas.after_write:3',
    };
    expect(readConfig({ schema: cacheConfigSchema, environment })).toEqual({
      data: '/e',
      blobBytesMax: 10 * 2 ** 20,
      recentBlobBytes: 32 * 2 ** 20,
      actionCacheUpdates: false,
      fail: 'cas.after_write:3',
    });
  });

  it('reports what is wrong', () => {
    const environment = { INGOT_BLOB_BYTES_MAX: 'lots' };
    expect(() => readConfig({ schema: cacheConfigSchema, environment })).toThrow(/INGOT_BLOB_BYTES_MAX/);
  });
});
