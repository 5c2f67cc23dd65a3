import { expect, test } from 'vitest';
import { resourceExhausted } from '../../../core/error.ts';
import type { OperationRecord } from '../../../proto/gen/ingot/v1/journal.ts';
import { StateDriver } from '../../../scheduler/engine/state-driver.ts';
import type { Journal } from '../../../scheduler/journal.ts';
import type { SchedulerCommand } from '../../../scheduler/state/scheduler-command.ts';
import { DEFAULT_SCHEDULER_LIMITS } from '../../../scheduler/state/scheduler-limits.ts';
import { createSchedulerState } from '../../../scheduler/state/scheduler-state.ts';
import { recordingLogger } from '../../setup/recording-logger.ts';
import { submission } from '../submission.ts';

/** A journal whose writes end when a test says so. */
class SlowJournal implements Journal {
  readonly writes: {
    puts: OperationRecord[];
    deletedNames: readonly string[];
    done: PromiseWithResolvers<void>;
  }[] = [];

  async *load() {}

  commit(puts: readonly OperationRecord[], deletedNames: readonly string[]): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.writes.push({ puts: puts.map((put) => structuredClone(put)), deletedNames, done });
    return done.promise;
  }

  async close() {}
  async [Symbol.asyncDispose]() {}
}

const now = { monotonicMs: 1000, wallMs: 1.7e12 };

function bench() {
  const journal = new SlowJournal();
  const logger = recordingLogger();
  const state = createSchedulerState(DEFAULT_SCHEDULER_LIMITS, now);
  const driver = new StateDriver({ state, journal, clock: { now: () => now }, logger });
  const commands: SchedulerCommand[] = [];
  driver.onCommand((command) => commands.push(command));
  const execute = (name: string): void =>
    driver.handle({ kind: 'execute', token: name, submission: submission(name) });
  return {
    journal,
    logger,
    driver,
    commands,
    execute,
    tokens: () => commands.map((one) => 'token' in one && one.token),
  };
}

test('answers nobody before what was decided is durable', async () => {
  const { journal, driver, execute, tokens } = bench();
  execute('a');
  expect(journal.writes.map(({ puts }) => puts.map(({ name }) => name))).toEqual([['a']]);
  expect(tokens()).toEqual([]);
  journal.writes[0]!.done.resolve();
  await driver.settled();
  expect(tokens()).toEqual(['a']);
});

test('gathers what happens during a write into the next one, and keeps the order', async () => {
  const { journal, driver, execute, tokens } = bench();
  execute('a');
  execute('b');
  driver.handle({ kind: 'attach', token: 'attach', name: 'b' });
  execute('c');
  driver.handle({ kind: 'cancel', name: 'a', reason: 'enough' });
  driver.handle({ kind: 'forget', name: 'a' });
  expect(journal.writes).toHaveLength(1);
  journal.writes[0]!.done.resolve();
  await expect.poll(() => journal.writes.length).toBe(2);
  expect(tokens()).toEqual(['a']);
  const [, second] = journal.writes;
  expect(second!.puts.map(({ name }) => name)).toEqual(['b', 'c']);
  expect(second!.deletedNames).toEqual(['a']);
  second!.done.resolve();
  await driver.settled();
  expect(tokens().filter(Boolean)).toEqual(['a', 'b', 'attach', 'c']);
});

test('does what changes nothing at once, but not before what came earlier', async () => {
  const { journal, driver, execute, tokens } = bench();
  driver.handle({ kind: 'attach', token: 'early', name: 'a' });
  expect(tokens()).toEqual(['early']);
  execute('a');
  driver.handle({ kind: 'attach', token: 'late', name: 'x' });
  expect(tokens()).toEqual(['early']);
  journal.writes[0]!.done.resolve();
  await driver.settled();
  expect(tokens()).toEqual(['early', 'a', 'late']);
});

test('tries a failed write again until it is done, and says so once', async () => {
  const { journal, logger, driver, execute, tokens } = bench();
  execute('a');
  journal.writes[0]!.done.reject(resourceExhausted('no space'));
  await expect.poll(() => driver.journalError?.message).toBe('no space');
  await expect.poll(() => journal.writes.length, { timeout: 3_000 }).toBe(2);
  expect(tokens()).toEqual([]);
  journal.writes[1]!.done.resolve();
  await driver.settled();
  expect(driver.journalError).toBeUndefined();
  expect(tokens()).toEqual(['a']);
  expect(logger.lines.map(({ level, message }) => [level, message])).toEqual([
    ['error', 'the journal cannot be written'],
    ['info', 'the journal can be written again'],
  ]);
});

test('closes although the journal fails, and then does nothing more', async () => {
  const { journal, driver, execute, commands } = bench();
  execute('a');
  journal.writes[0]!.done.reject(resourceExhausted('no space'));
  await expect.poll(() => driver.journalError).toBeDefined();
  await driver.close();
  execute('b');
  expect(commands).toEqual([]);
  expect(journal.writes).toHaveLength(1);
});

test('passes its fail points before and after each write', async () => {
  const journal = new SlowJournal();
  const passed: string[] = [];
  const state = createSchedulerState(DEFAULT_SCHEDULER_LIMITS, now);
  const failPoints = { pass: (name: string) => void passed.push(name) };
  const logger = recordingLogger();
  const driver = new StateDriver({ state, journal, clock: { now: () => now }, logger, failPoints });
  driver.handle({ kind: 'execute', token: 't', submission: submission('a') });
  expect(passed).toEqual(['journal.before_write']);
  journal.writes[0]!.done.resolve();
  await driver.settled();
  expect(passed).toEqual(['journal.before_write', 'journal.after_write']);
});
