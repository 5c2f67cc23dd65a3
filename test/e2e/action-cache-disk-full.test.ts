import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LevelRecords } from '../../cache/actions/level-records.ts';
import { retryInfo } from '../../core/error-details.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { recordingLogger } from '../setup/recording-logger.ts';
import { rejection } from '../setup/rejection.ts';
import { smallDisk } from '../setup/small-disk.ts';
import { tempFolder } from '../setup/temp-folder.ts';

const DISK_BYTES = 16 * 1024 * 1024;

test.runIf(process.getuid?.() === 0)(
  'an action cache on a full disk refuses writes, answers reads, and takes writes again once there is room',
  async () => {
    await using temp = await tempFolder();
    const disk = join(temp.path, 'disk');
    await using _ = await smallDisk(disk, DISK_BYTES);
    const folder = join(disk, 'ac-v1');
    await using records = await LevelRecords.open({ folder, logger: recordingLogger() });
    await records.put('before', Buffer.from('kept'));

    const filler = join(disk, 'filler');
    await writeFile(filler, Buffer.alloc(DISK_BYTES)).catch(() => undefined);
    const large = Buffer.alloc(1024 * 1024);
    for (const _time of [1, 2, 3]) {
      const error = await rejection(records.put('large', large));
      expect([error.code, error.message, error.details]).toEqual([
        Code.RESOURCE_EXHAUSTED,
        'Write a record: no space is left on the disk',
        [retryInfo(5000)],
      ]);
      expect(Buffer.from((await records.get('before')) ?? []).toString()).toBe('kept');
    }

    await rm(filler);
    const reading = records.get('before');
    await records.put('after', Buffer.from('new'));
    expect(await reading).toBeDefined();
    await records.close();
    await using again = await LevelRecords.open({ folder, logger: recordingLogger() });
    for (const [key, value] of Object.entries({ before: 'kept', after: 'new' })) {
      expect(Buffer.from((await again.get(key)) ?? []).toString()).toBe(value);
    }
  },
);
