import { expect, it } from 'vitest';
import { DiskParts } from '../../../cache/disk/disk-parts.ts';
import { retryInfo } from '../../../core/error-details.ts';
import { noFailPoints } from '../../../core/fail-point.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { sampleBlob } from '../bytes.ts';

it('asks for a blob again that was evicted before its client could be granted it', async () => {
  await using folder = await tempFolder();
  await using parts = await DiskParts.open({
    folder: folder.path,
    logger: silentLogger,
    failPoints: noFailPoints,
    segmentBytes: 64 * 1024,
    recentBlobBytes: 0,
    invocationTtlMs: 0,
  });
  const { digest } = sampleBlob(100_000);
  await expect(parts.grant(0, digest)).rejects.toMatchObject({
    code: Code.UNAVAILABLE,
    message: `Write ${digest}: it went while it was stored, send it again`,
    details: [retryInfo(100)],
  });
});
