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

test('a thorough look finds what leaves no trace in the usual places', async () => {
  await using folder = await tempFolder();
  let name = 'host-1';
  const watch = new ImageWatch({ identify: async () => name, machineRoot: folder.path });
  await watch.identity();
  name = 'host-2';
  expect(await watch.identity()).toBe('host-1');
  await watch.lookThoroughly();
  expect(watch.latest).toBe('host-2');
  expect(await watch.identity()).toBe('host-2');
});

test('a thorough look that is overtaken by an installation does not count', async () => {
  await using folder = await tempFolder();
  await mkdir(join(folder.path, 'usr/bin'), { recursive: true });
  const slow = Promise.withResolvers<string>();
  const names = [Promise.resolve('host-1'), slow.promise, Promise.resolve('host-3')];
  const watch = new ImageWatch({ identify: () => names.shift()!, machineRoot: folder.path });
  await watch.identity();
  const thorough = watch.lookThoroughly();
  await writeFile(join(folder.path, 'usr/bin/nvcc'), '');
  expect(await watch.identity()).toBe('host-3');
  slow.resolve('host-2');
  await thorough;
  expect(watch.latest).toBe('host-3');
});
