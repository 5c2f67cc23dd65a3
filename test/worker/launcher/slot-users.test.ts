import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { isRunning } from '../../../worker/launcher/process-tree.ts';
import { SlotUsers } from '../../../worker/launcher/slot-users.ts';
import { rejection } from '../../setup/rejection.ts';
import { describeStrict } from '../describe-strict.ts';

test('no two workers of a machine share a user', async () => {
  const one = await SlotUsers.claim(3);
  const other = await SlotUsers.claim(3);
  expect(new Set([...one.userIds, ...other.userIds]).size).toBe(6);
  one.close();
  other.close();
});

test('says when there are none left', async () => {
  const error = await rejection(SlotUsers.claim(1000));
  expect(error).toMatchObject({
    code: Code.UNAVAILABLE,
    message: expect.stringMatching(
      /^claim 1000 user ids for slots: only [0-9]+ of 61000 to 61183 are free on this machine$/,
    ),
  });
});

describeStrict('slot users with processes', () => {
  /** Free ids, given back, so that a test can put a process there. */
  async function freeUser(): Promise<number> {
    const users = await SlotUsers.claim(1);
    users.close();
    return users.userIds[0]!;
  }
  const userOf = (pid: number) => statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
  const sleepAs = (userId: number) => ['setpriv', '--reuid', String(userId), '--clear-groups', 'sleep', '60'];

  test('orphans of a launcher that died are ended', async () => {
    const userId = await freeUser();
    const script = `${sleepAs(userId).join(' ')} >/dev/null 2>&1 & echo $!`;
    const pid = Number(spawnSync('sh', ['-c', script], { encoding: 'utf8' }).stdout);
    await expect.poll(() => userOf(pid), { interval: 5 }).toBe(userId);
    const users = await SlotUsers.claim(1);
    users.close();
    expect(isRunning(pid)).toBe(false);
  });

  test('a user with a process that has a parent is passed over', async () => {
    const userId = await freeUser();
    const [file = '', ...args] = sleepAs(userId);
    const child = spawn(file, args, { stdio: 'ignore' });
    await expect.poll(() => userOf(child.pid!), { interval: 5 }).toBe(userId);
    const users = await SlotUsers.claim(1);
    expect(users.userIds).not.toContain(userId);
    expect(isRunning(child.pid!)).toBe(true);
    users.close();
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
});
