import { expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { SlotUsers } from '../../../worker/launcher/slot-users.ts';
import { rejection } from '../../setup/rejection.ts';

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
