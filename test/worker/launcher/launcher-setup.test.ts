import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { ConfigureLauncher } from '../../../proto/gen/ingot/v1/launcher.ts';
import { setUpLauncher } from '../../../worker/launcher/launcher-setup.ts';
import { rejection } from '../../setup/rejection.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

test('strict without root is refused, with the way out, and nothing is made', async () => {
  await using folder = await tempFolder();
  const configuration = ConfigureLauncher.create({ level: 'strict', workerFolder: folder.path, slots: 1 });
  const error = await rejection(setUpLauncher(configuration, { ownMountNamespace: false, userId: 1234 }));
  expect(error.code).toBe(Code.FAILED_PRECONDITION);
  expect(error.message).toMatch(
    /^the strict sandbox needs (root, and the worker runs as user 1234|the program bwrap \(Debian package bubblewrap\)); with less protection the worker starts with --sandbox basic or --sandbox none$/,
  );
  expect(existsSync(`${folder.path}/work`)).toBe(false);
});

test('a level nobody knows is refused', async () => {
  const configuration = ConfigureLauncher.create({ level: 'lax' });
  const error = await rejection(setUpLauncher(configuration, { ownMountNamespace: false, userId: 0 }));
  expect(error).toMatchObject({ code: Code.FAILED_PRECONDITION, message: 'there is no sandbox level lax' });
});
