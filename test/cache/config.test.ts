import { describe, expect, it } from 'vitest';
import { cacheConfigSchema } from '../../cache/config.ts';
import { readConfig } from '../../core/config/config.ts';

describe('the cache configuration', () => {
  it('has defaults for all but the folder', () => {
    const config = readConfig({ schema: cacheConfigSchema, flags: { data: '/d' }, environment: {} });
    expect(config).toMatchObject({
      data: '/d',
      blobBytesMax: 256 * 2 ** 30,
      actionCacheUpdates: true,
      invocationTtl: 600_000,
      scrubRate: 8 * 2 ** 20,
      smallBlobBytes: 64 * 2 ** 10,
      recentBlobBytes: 32 * 2 ** 20,
    });
    expect(config.tier).toBeUndefined();
  });

  it('is read from the environment', () => {
    const environment = {
      INGOT_DATA: '/e',
      INGOT_BLOB_BYTES_MAX: '10MiB',
      INGOT_ACTION_CACHE_UPDATES: 'false',
      INGOT_FAIL: 'cas.after_write:3',
    };
    expect(readConfig({ schema: cacheConfigSchema, environment })).toMatchObject({
      data: '/e',
      blobBytesMax: 10 * 2 ** 20,
      invocationTtl: 600_000,
      scrubRate: 8 * 2 ** 20,
      recentBlobBytes: 32 * 2 ** 20,
      actionCacheUpdates: false,
      fail: 'cas.after_write:3',
    });
  });

  it('reports what is wrong', () => {
    const environment = { INGOT_BLOB_BYTES_MAX: 'lots' };
    expect(() => readConfig({ schema: cacheConfigSchema, environment })).toThrow(/INGOT_BLOB_BYTES_MAX/);
  });

  it.each([
    ['s3://farm', { bucket: 'farm', prefix: '' }],
    ['s3://farm/', { bucket: 'farm', prefix: '' }],
    ['s3://my-farm.example/team/cache/', { bucket: 'my-farm.example', prefix: 'team/cache/' }],
  ])('takes %s for a tier', (tier, expected) => {
    const flags = { data: '/d', tier, tierEndpoint: 'https://minio.example:9000', tierWrite: 'sync' };
    const config = readConfig({ schema: cacheConfigSchema, flags, environment: {} });
    expect(config).toMatchObject({ tier: expected, tierWrite: 'sync', tierRemember: 600_000 });
  });

  it.each(['farm', 's3://', 's3://UPPER', 'gs://farm', 's3://farm/a//b', 's3://farm/../b', 's3://farm/a b'])(
    'refuses %s for a tier',
    (tier) => {
      const flags = { data: '/d', tier, tierEndpoint: 'minio:9000' };
      expect(() => readConfig({ schema: cacheConfigSchema, flags, environment: {} })).toThrow(
        [
          'configuration: 2 problems',
          '  --tier: expected s3://BUCKET or s3://BUCKET/PREFIX',
          '  --tier-endpoint: expected an http or https URL',
        ].join('\n'),
      );
    },
  );
});
