import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ImageWatch } from '../../../worker/sandbox/image-watch.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

test('names the image anew only when something was installed', async () => {
  await using folder = await tempFolder();
  await mkdir(join(folder.path, 'usr/bin'), { recursive: true });
  let names = 0;
  const identify = async (): Promise<string> => {
    names += 1;
    return `host-${names}`;
  };
  const watch = new ImageWatch({ identify, machineRoot: folder.path });
  expect(watch.latest).toBe('');
  expect(await watch.identity()).toBe('host-1');
  expect(await watch.identity()).toBe('host-1');
  await writeFile(join(folder.path, 'usr/bin/nvcc'), '');
  expect(await Promise.all([watch.identity(), watch.identity()])).toEqual(['host-2', 'host-2']);
  expect(watch.latest).toBe('host-2');
});

test('a look that fails is not remembered', async () => {
  await using folder = await tempFolder();
  let fails = true;
  const identify = async (): Promise<string> => {
    if (fails) throw new Error('a file vanished');
    return 'host-1';
  };
  const watch = new ImageWatch({ identify, machineRoot: folder.path });
  await expect(watch.identity()).rejects.toThrow('a file vanished');
  fails = false;
  expect(await watch.identity()).toBe('host-1');
});
