import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { retryInfo } from '../../core/error-details.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { LevelJournal } from '../../scheduler/level-journal.ts';
import { journalRecord, loadAll } from '../scheduler/journal-contract.ts';
import { recordingLogger } from '../setup/recording-logger.ts';
import { rejection } from '../setup/rejection.ts';
import { smallDisk } from '../setup/small-disk.ts';
import { tempFolder } from '../setup/temp-folder.ts';

const DISK_BYTES = 8 * 1024 * 1024;

test.runIf(process.getuid?.() === 0)(
  'a journal on a full disk refuses, and works again without a restart once there is room',
  async () => {
    await using temp = await tempFolder();
    const disk = join(temp.path, 'disk');
    await using _ = await smallDisk(disk, DISK_BYTES);
    const folder = join(disk, 'journal-v1');
    await using journal = await LevelJournal.open({ folder, logger: recordingLogger() });
    await journal.commit([journalRecord('before')], []);

    const filler = join(disk, 'filler');
    await writeFile(filler, Buffer.alloc(DISK_BYTES)).catch(() => undefined);
    const large = { ...journalRecord('large'), instanceName: 'x'.repeat(1024 * 1024) };
    const error = await rejection(journal.commit([large], []));
    expect([error.code, error.message, error.details]).toEqual([
      Code.RESOURCE_EXHAUSTED,
      `Write journal ${folder}: no space is left on the disk`,
      [retryInfo(5000)],
    ]);

    await rm(filler);
    await journal.commit([journalRecord('after')], []);
    await journal.close();
    await using again = await LevelJournal.open({ folder, logger: recordingLogger() });
    const names = [...(await loadAll(again)).keys()].sort();
    expect(names.filter((name) => name !== 'large')).toEqual(['after', 'before']);
  },
);
