import { mkdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { identifyHostImage } from '../../../worker/sandbox/image-identity.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

const DPKG = [
  'Package: gcc-12\nStatus: install ok installed\nArchitecture: amd64\nVersion: 12.2.0-14\nDescription: a',
  'Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9',
];

/** A small machine. */
class Machine {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  async write(path: string, text: string, secondsSince1970 = 1000): Promise<void> {
    await mkdir(dirname(join(this.root, path)), { recursive: true });
    await writeFile(join(this.root, path), text);
    await utimes(join(this.root, path), secondsSince1970, secondsSince1970);
  }

  async setUp(): Promise<this> {
    await this.write('etc/os-release', 'VERSION_ID=12');
    await this.write('etc/ld.so.cache', 'cache');
    await this.write('etc/hostname', 'mine');
    await this.write('var/lib/dpkg/status', `${DPKG.join('\n\n')}\n`);
    await this.write('usr/bin/gcc-12', 'compiler');
    await this.write('usr/lib/x86_64-linux-gnu/libc.so.6', 'libc');
    await this.write('usr/local/tool/deep/data', 'data');
    await mkdir(join(this.root, 'etc/alternatives'));
    await symlink('/usr/bin/gcc-12', join(this.root, 'etc/alternatives/cc'));
    return this;
  }

  identify(): Promise<string> {
    return identifyHostImage(this.root);
  }
}

describe('identifyHostImage', () => {
  test('is the same on machines set up alike, whatever is their own', async () => {
    await using a = await tempFolder();
    await using b = await tempFolder();
    const one = await new Machine(a.path).setUp();
    const other = await new Machine(b.path).setUp();
    await other.write('etc/hostname', 'another');
    await other.write('home/me/x', 'x');
    await other.write(
      'var/lib/dpkg/status',
      `${DPKG.toReversed().join('\n\n').replace('Description: a', 'Description: b')}\n`,
      9,
    );
    await other.write('usr/local/lib/python3/__pycache__/m.pyc', 'compiled');
    await one.write('usr/local/lib/python3/__pycache__/m.pyc', 'by someone else', 5);
    const identity = await one.identify();
    expect(identity).toMatch(/^host-[0-9a-f]{12}$/);
    expect(await other.identify()).toBe(identity);
  });

  test.each<[string, (machine: Machine) => Promise<void>]>([
    [
      'a package is upgraded',
      (m) => m.write('var/lib/dpkg/status', DPKG.join('\n\n').replace('12.2.0-14', '12.2.0-15')),
    ],
    ['a package is removed', (m) => m.write('var/lib/dpkg/status', DPKG[0]!)],
    ['the system is another', (m) => m.write('etc/os-release', 'VERSION_ID=13')],
    ['a program is replaced by hand', (m) => m.write('usr/bin/gcc-12', 'compiler', 2000)],
    ['a library changes its size', (m) => m.write('usr/lib/x86_64-linux-gnu/libc.so.6', 'longer')],
    ['a program appears', (m) => m.write('usr/bin/nvcc', '')],
    ['something deep in /usr/local changes', (m) => m.write('usr/local/tool/deep/data', 'DATA', 1001)],
    ['the loader finds other libraries', (m) => m.write('etc/ld.so.cache', 'other')],
    [
      'cc is another compiler',
      async (m) => {
        await rm(join(m.root, 'etc/alternatives/cc'));
        await symlink('/usr/bin/clang', join(m.root, 'etc/alternatives/cc'));
      },
    ],
  ])('changes when %s', async (_, change) => {
    await using folder = await tempFolder();
    const machine = await new Machine(folder.path).setUp();
    const before = await machine.identify();
    await change(machine);
    expect(await machine.identify()).not.toBe(before);
  });

  test('without a package database it looks at every file', async () => {
    await using folder = await tempFolder();
    const machine = await new Machine(folder.path).setUp();
    await rm(join(folder.path, 'var'), { recursive: true });
    await machine.write('usr/share/some/where/file', 'a');
    const before = await machine.identify();
    await machine.write('usr/share/some/where/file', 'b', 1001);
    expect(await machine.identify()).not.toBe(before);
  });
});
