import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { prepareHostImage } from '../../../worker/sandbox/host-image.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

test("shows programs and libraries, and of /etc only what is nobody's own", async () => {
  await using machine = await tempFolder();
  await using own = await tempFolder();
  const root = machine.path;
  for (const folder of [
    'usr/lib',
    'lib64',
    'etc/alternatives',
    'etc/ssl/certs',
    'etc/ssl/private',
    'home',
    'etc/java-17-openjdk',
  ]) {
    await mkdir(join(root, folder), { recursive: true });
  }
  await symlink('usr/lib', join(root, 'lib'));
  for (const file of ['ld.so.cache', 'shadow', 'machine-id', 'hostname', 'pip.conf', 'localtime', 'passwd']) {
    await writeFile(join(root, 'etc', file), "the host's");
  }
  const { mounts, symlinks } = await prepareHostImage(join(own.path, 'etc'), root);
  expect(symlinks).toEqual([{ path: '/lib', target: 'usr/lib' }]);
  expect(
    mounts.filter(({ hostPath }) => hostPath.startsWith(root)).map(({ sandboxPath }) => sandboxPath),
  ).toEqual([
    '/usr',
    '/lib64',
    '/etc/alternatives',
    '/etc/java-17-openjdk',
    '/etc/ld.so.cache',
    '/etc/ssl/certs',
  ]);
  const made = mounts
    .filter(({ hostPath }) => hostPath.startsWith(own.path))
    .map(({ sandboxPath }) => sandboxPath);
  expect(made).toEqual(['/etc/passwd', '/etc/group', '/etc/hosts', '/etc/hostname', '/etc/nsswitch.conf']);
  expect(await readFile(join(own.path, 'etc', 'passwd'), 'utf8')).toContain('ingot:x:1000:1000:');
});
