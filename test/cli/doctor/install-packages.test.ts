import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { installPackages, missingPackages } from '../../../cli/doctor/install-packages.ts';
import { runProgram } from '../../../cli/toolchain/run-program.ts';
import { debianPackages } from '../../setup/debian-packages.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { writeProgram } from '../toolchain/fake-cuda.ts';

const BASE = '/usr/bin:/bin';

/** A machine with an apt-get that runs this script; `uid` installs two packages on it. */
async function install(folder: string, { uid = 0, apt }: { uid?: number; apt?: string }) {
  const bin = join(folder, 'bin');
  await mkdir(bin, { recursive: true });
  if (apt !== undefined)
    await writeProgram(
      join(bin, 'apt-get'),
      `#!/bin/sh\necho "$DEBIAN_FRONTEND $@" >> ${folder}/log\n${apt}\n`,
    );
  const said: string[] = [];
  const complete = await installPackages({
    packages: [
      { name: 'one', gives: 'ingot-test-one', use: 'the first' },
      { name: 'two', gives: join(folder, 'two'), use: 'the second' },
      { name: 'coreutils', gives: '/bin', use: 'nothing' },
    ],
    runProgram,
    environment: { PATH: apt === undefined ? bin : `${bin}:${BASE}` },
    uid,
    without: 'without them nothing works',
    say: (text) => said.push(text),
  });
  return { complete, said };
}

describe('installPackages', () => {
  it('installs what is missing, and only that, without asking', async () => {
    await using folder = await tempFolder();
    const bin = join(folder.path, 'bin');
    const apt = `case "$*" in *install*) touch ${folder.path}/two; printf '#!/bin/sh\\n' > ${bin}/ingot-test-one; chmod +x ${bin}/ingot-test-one ;; esac`;
    expect(await install(folder.path, { apt })).toEqual({ complete: true, said: ['installing one, two'] });
    expect((await readFile(join(folder.path, 'log'), 'utf8')).split('\n')).toEqual([
      'noninteractive -o DPkg::Lock::Timeout=300 update --quiet',
      'noninteractive -o DPkg::Lock::Timeout=300 install --quiet --yes --no-install-recommends one two',
      '',
    ]);
    await writeFile(join(folder.path, 'log'), '');
    expect(await install(folder.path, { apt })).toEqual({ complete: true, said: [] });
    expect(await readFile(join(folder.path, 'log'), 'utf8')).toBe('');
  });

  it('tells a user who is not root what to run', async () => {
    await using folder = await tempFolder();
    expect(await install(folder.path, { uid: 1000, apt: 'exit 1' })).toEqual({
      complete: false,
      said: [
        'missing: ingot-test-one (Debian package one), for the first',
        `missing: ${folder.path}/two (Debian package two), for the second`,
        'install with: sudo apt-get install --yes --no-install-recommends one two',
        'without them nothing works',
      ],
    });
  });

  it('tells root the same where there is no apt-get', async () => {
    await using folder = await tempFolder();
    const { complete, said } = await install(folder.path, {});
    expect(complete).toBe(false);
    expect(said[2]).toBe('install with: apt-get install --yes --no-install-recommends one two');
  });

  it('gives apt-get’s own reason, and what is still missing', async () => {
    await using folder = await tempFolder();
    const apt = `case "$*" in *install*) echo reading; echo 'E: Unable to locate package one' >&2; exit 100 ;; esac`;
    expect(await install(folder.path, { apt })).toEqual({
      complete: false,
      said: [
        'installing one, two',
        'still missing: ingot-test-one (Debian package one), for the first',
        `still missing: ${folder.path}/two (Debian package two), for the second`,
        'apt-get install --quiet --yes --no-install-recommends one two failed with exit code 100: E: Unable to locate package one',
      ],
    });
  });
});

describe('debianPackages', () => {
  it('names each package once, with what it gives', async () => {
    expect(new Set(debianPackages.map(({ name }) => name)).size).toBe(debianPackages.length);
    const nothing = await missingPackages({ packages: debianPackages, environment: { PATH: '/nowhere' } });
    expect(nothing.length).toBeGreaterThanOrEqual(debianPackages.length - 2);
  });
});
