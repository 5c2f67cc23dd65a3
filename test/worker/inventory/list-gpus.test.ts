import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { listGpus } from '../../../worker/inventory/list-gpus.ts';
import { recordingLogger } from '../../setup/recording-logger.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

test('every line about a device of an inventory file says that it is not real', async () => {
  await using folder = await tempFolder();
  const file = join(folder.path, 'gpus.yaml');
  await writeFile(file, 'gpus:\n  - { id: fake-0, arch: sm_90, memory: 80GiB }\n');
  const logger = recordingLogger();
  const gpus = await listGpus(file, logger);
  expect(gpus.devices).toEqual([
    { id: 'fake-0', arch: 'sm_90', memoryBytes: 80 * 2 ** 30, model: 'imaginary', unhealthyReason: '' },
  ]);
  expect(gpus.mountsOf(['fake-0'])).toEqual([]);
  expect(logger.lines.map(({ message }) => message)).toEqual([
    'GPU of the inventory file: this is not a real device',
    'action leases GPUs of the inventory file: these are not real devices',
  ]);
});

test('says what is wrong with an inventory file', async () => {
  await using folder = await tempFolder();
  const file = join(folder.path, 'gpus.yaml');
  await writeFile(file, 'gpus:\n  - { id: a, arch: hopper, memory: 80GiB }\n');
  await expect(listGpus(file, recordingLogger())).rejects.toMatchObject({
    code: Code.INVALID_ARGUMENT,
    message: expect.stringContaining('gpus.0.arch'),
  });
});
