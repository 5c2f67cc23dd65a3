import { describe, expect, test } from 'vitest';
import { OperationRecord } from '../../proto/gen/ingot/v1/journal.ts';
import type { Journal } from '../../scheduler/journal.ts';

/** One journal under test, which can be closed and opened again. */
export interface JournalUnderTest extends AsyncDisposable {
  readonly journal: Journal;
  /** Ends the journal in hand and opens what it left. */
  reopen(): Promise<Journal>;
}

/** A record a test can tell from others. */
export function journalRecord(name: string, epoch = 1): OperationRecord {
  return OperationRecord.create({
    name,
    epoch,
    instanceName: 'main',
    actionDigest: { hash: 'ab'.repeat(32), sizeBytes: 142 },
    properties: [{ name: 'OSFamily', value: 'linux' }],
    queuedTimestamp: { seconds: 1_700_000_000, nanos: 5 },
    attempts: [{ workerId: 'w', epoch: 1, reason: 'lost' }],
  });
}

/** Everything in a journal, by name. */
export async function loadAll(journal: Journal): Promise<Map<string, OperationRecord>> {
  const records = new Map<string, OperationRecord>();
  for await (const record of journal.load()) records.set(record.name, record);
  return records;
}

/** What every Journal must do. */
export function journalContract(what: string, open: () => Promise<JournalUnderTest>): void {
  describe(`${what} as a Journal`, () => {
    test('is empty at first', async () => {
      await using under = await open();
      expect(await loadAll(under.journal)).toEqual(new Map());
    });

    test('gives back what was committed, whole, also after it was opened again', async () => {
      await using under = await open();
      const records = [journalRecord('operations/a'), journalRecord('main/operations/b', 7)];
      await under.journal.commit(records, []);
      const expected = new Map(records.map((record) => [record.name, record]));
      expect(await loadAll(under.journal)).toEqual(expected);
      expect(await loadAll(await under.reopen())).toEqual(expected);
    });

    test('replaces and deletes', async () => {
      await using under = await open();
      await under.journal.commit([journalRecord('a'), journalRecord('b')], []);
      await under.journal.commit([journalRecord('a', 2)], ['b', 'never-there']);
      expect(await loadAll(await under.reopen())).toEqual(new Map([['a', journalRecord('a', 2)]]));
    });

    test('keeps the order of commits that are under way at once', async () => {
      await using under = await open();
      const { journal } = under;
      const commits: Promise<void>[] = [];
      for (let epoch = 1; epoch <= 50; epoch += 1) {
        commits.push(journal.commit([journalRecord('a', epoch), journalRecord(`b${epoch}`)], []));
        commits.push(journal.commit([], [`b${epoch}`]));
      }
      await Promise.all(commits);
      expect(await loadAll(await under.reopen())).toEqual(new Map([['a', journalRecord('a', 50)]]));
    });

    test('waits for commits under way when it is closed', async () => {
      await using under = await open();
      const committed = under.journal.commit([journalRecord('a')], []);
      const reopened = await under.reopen();
      await committed;
      expect([...(await loadAll(reopened)).keys()]).toEqual(['a']);
    });
  });
}
