import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import { expect, test } from 'vitest';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { Journal } from '../../scheduler/journal.ts';
import { LevelJournal } from '../../scheduler/level-journal.ts';
import { recordingLogger } from '../setup/recording-logger.ts';
import { rejection } from '../setup/rejection.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { journalContract, journalRecord, loadAll } from './journal-contract.ts';

journalContract('LevelJournal', async () => {
  const temp = await tempFolder();
  const dependencies = { folder: join(temp.path, 'scheduler', 'journal-v1'), logger: recordingLogger() };
  let journal: Journal = await LevelJournal.open(dependencies);
  return {
    journal,
    async reopen() {
      await journal.close();
      journal = await LevelJournal.open(dependencies);
      return journal;
    },
    async [Symbol.asyncDispose]() {
      await journal.close();
      await temp[Symbol.asyncDispose]();
    },
  };
});

/** A journal of a hundred records that was closed. */
async function written() {
  const temp = await tempFolder();
  const folder = join(temp.path, 'journal-v1');
  const logger = recordingLogger();
  await using journal = await LevelJournal.open({ folder, logger });
  await journal.commit(
    Array.from({ length: 100 }, (_, index) => journalRecord(`a${index}`)),
    [],
  );
  return { temp, folder, logger };
}

async function removeFiles(folder: string, pattern: RegExp): Promise<void> {
  for (const name of await readdir(folder)) if (pattern.test(name)) await rm(join(folder, name));
}

test('a second one on the same folder is refused, and the first goes on', async () => {
  const { temp, folder, logger } = await written();
  await using _ = temp;
  await using first = await LevelJournal.open({ folder, logger });
  const error = await rejection(LevelJournal.open({ folder, logger }));
  expect([error.code, error.message]).toEqual([
    Code.FAILED_PRECONDITION,
    `Open journal ${folder}: another process has it open`,
  ]);
  await first.commit([journalRecord('b')], []);
  expect((await loadAll(first)).size).toBe(101);
});

test('a damaged record is skipped and logged, the others are there', async () => {
  const { temp, folder, logger } = await written();
  await using _ = temp;
  const database = new Level<string, Buffer>(folder, { valueEncoding: 'buffer' });
  const bytes = await database.get('a7');
  bytes![20]! ^= 1;
  await database.put('a7', bytes!);
  await database.put('a8', Buffer.from('short'));
  await database.close();
  await using journal = await LevelJournal.open({ folder, logger });
  const records = await loadAll(journal);
  expect(records.size).toBe(98);
  expect(records.has('a7')).toBe(false);
  expect(logger.at('error')).toMatchObject([
    { fields: { operation: 'a7' }, message: 'a damaged journal record is skipped' },
    { fields: { operation: 'a8' }, message: 'a damaged journal record is skipped' },
  ]);
});

test.each([
  ['whose manifest is lost', (folder: string) => removeFiles(folder, /^MANIFEST/)],
  ['whose CURRENT is empty', (folder: string) => writeFile(join(folder, 'CURRENT'), '')],
])('one %s is repaired, and that is logged', async (_, damage) => {
  const { temp, folder, logger } = await written();
  await using _temp = temp;
  await damage(folder);
  await using journal = await LevelJournal.open({ folder, logger });
  expect((await loadAll(journal)).size).toBe(100);
  expect(logger.at('warn')).toMatchObject([
    { message: 'the journal was repaired; operations may have been lost' },
  ]);
  await journal.commit([journalRecord('b')], []);
});

test('one that is no database is refused with what the system says, and left as it is', async () => {
  await using temp = await tempFolder();
  const folder = join(temp.path, 'journal-v1');
  await writeFile(folder, 'this is no folder');
  const logger = recordingLogger();
  const error = await rejection(LevelJournal.open({ folder, logger }));
  expect([error.code, error.message]).toEqual([
    Code.FAILED_PRECONDITION,
    `Open journal ${folder}: EEXIST: file already exists, mkdir '${folder}'; moved away, it is begun anew`,
  ]);
  expect(await readFile(folder, 'utf8')).toBe('this is no folder');
  expect(logger.lines).toEqual([]);
});
