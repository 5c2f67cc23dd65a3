import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkCgroups } from '../../../cli/doctor/check-cgroups.ts';
import { checkDataFolder } from '../../../cli/doctor/check-data-folder.ts';
import { checkOpenFiles, checkPort } from '../../../cli/doctor/check-limits.ts';
import { checkNode } from '../../../cli/doctor/check-node.ts';
import { checkCompilers, checkGpu, checkNats, checkPip } from '../../../cli/doctor/check-programs.ts';
import { checkSandbox } from '../../../cli/doctor/check-sandbox.ts';
import { checkToolchains } from '../../../cli/doctor/check-toolchains.ts';
import { checkUser } from '../../../cli/doctor/check-user.ts';
import type { DoctorHost } from '../../../cli/doctor/doctor-host.ts';
import { runProgram } from '../../../cli/toolchain/run-program.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { makeFakeCuda, writeProgram } from '../toolchain/fake-cuda.ts';

const APT = 'apt-get install --yes --no-install-recommends';

/** A machine on whose PATH are only these programs, as shell scripts. */
async function hostWith(folder: string, programs: Record<string, string>, uid = 0): Promise<DoctorHost> {
  await mkdir(join(folder, 'bin'), { recursive: true });
  for (const [name, script] of Object.entries(programs)) {
    await writeProgram(join(folder, 'bin', name), `#!/bin/sh\n${script}\n`);
  }
  return { environment: { PATH: join(folder, 'bin') }, runProgram, uid };
}

describe('checkNode', () => {
  it('takes 24 and newer', () => {
    expect(checkNode('24.0.0')).toEqual({ check: 'node', status: 'ok', detail: 'Node 24.0.0' });
    expect(checkNode('26.1.0').status).toBe('ok');
    expect(checkNode('22.9.0')).toMatchObject({
      status: 'missing',
      detail: 'Node 22.9.0, expected 24 or newer',
    });
  });
});

describe('checkUser', () => {
  it('is content with any user', () => {
    expect(checkUser(0).status).toBe('ok');
    expect(checkUser(1000)).toMatchObject({ status: 'note', detail: expect.stringContaining('uid 1000') });
  });
});

describe('checkSandbox', () => {
  const works = { bwrap: 'echo "bubblewrap 0.8.0"', setpriv: 'case "$1" in --version) echo setpriv ;; esac' };

  it('names what to install, as this user has to type it', async () => {
    await using folder = await tempFolder();
    expect(await checkSandbox(await hostWith(folder.path, {}))).toEqual([
      expect.objectContaining({ check: 'bubblewrap', status: 'missing', fix: `${APT} bubblewrap` }),
      expect.objectContaining({ check: 'setpriv', status: 'missing', fix: `${APT} util-linux` }),
    ]);
    expect(await checkSandbox(await hostWith(folder.path, {}, 1000))).toEqual([
      expect.objectContaining({ check: 'bubblewrap', fix: `sudo ${APT} bubblewrap` }),
    ]);
  });

  it('refuses a setuid bubblewrap', async () => {
    await using folder = await tempFolder();
    const host = await hostWith(folder.path, works);
    await chmod(join(folder.path, 'bin', 'bwrap'), 0o4755);
    expect((await checkSandbox(host))[0]).toEqual({
      check: 'bubblewrap',
      status: 'missing',
      detail: `${folder.path}/bin/bwrap is setuid root, which the worker refuses: a fault in it would be a way to root`,
      fix: `chmod u-s ${folder.path}/bin/bwrap`,
    });
  });

  it('tries a sandbox as the worker makes it', async () => {
    await using folder = await tempFolder();
    const findings = await checkSandbox(await hostWith(folder.path, works));
    expect(findings.map(({ check, status }) => [check, status])).toEqual([
      ...[
        ['bubblewrap', 'ok'],
        ['setpriv', 'ok'],
        ['sandbox', 'ok'],
      ],
    ]);
    expect(findings[2]?.detail).toContain('under a user of its own');
  });

  it('does not promise strict to a user who is not root: the worker would refuse', async () => {
    await using folder = await tempFolder();
    const findings = await checkSandbox(await hostWith(folder.path, works, 1000));
    expect(findings.at(-1)).toMatchObject({
      check: 'sandbox',
      status: 'missing',
      fix: 'sudo ingot up, or with less protection: ingot up --sandbox basic',
    });
  });

  it.each([
    ['bwrap: setting up uid map: Permission denied', 'sudo sysctl -w kernel.unprivileged_userns_clone=1'],
    [
      'bwrap: Creating new namespace failed: No space left on device',
      'sudo sysctl -w user.max_user_namespaces',
    ],
    ['bwrap: something new', undefined],
  ])('says what is in the way: %s', async (text, fix) => {
    await using folder = await tempFolder();
    const bwrap = `[ "$1" = --version ] && echo 0.8 || { echo "${text}" >&2; exit 1; }`;
    const findings = await checkSandbox(await hostWith(folder.path, { bwrap }, 1000));
    expect(findings[1]).toMatchObject({
      ...{ check: 'sandbox', status: 'missing', detail: `bubblewrap cannot make its namespaces: ${text}` },
    });
    expect(findings[1]?.fix?.startsWith(fix ?? '')).toBe(fix === undefined ? undefined : true);
  });

  it.runIf(process.platform === 'linux')('agrees with the bubblewrap of this machine', async () => {
    const host = { environment: { PATH: process.env.PATH }, runProgram, uid: process.getuid?.() };
    const findings = await checkSandbox(host);
    // Which it is depends on the machine; a trial that neither works nor says why would be a fault of the check.
    for (const { status, detail } of findings) expect(status === 'ok' || detail !== '').toBe(true);
    const trial = findings.find(({ check }) => check === 'sandbox');
    if (trial?.status === 'missing') expect(trial.detail).toMatch(/namespaces: bwrap: |only root can/);
  });
});

describe('programs that are not needed', () => {
  it('are notes with the package that brings them', async () => {
    await using folder = await tempFolder();
    const host = await hostWith(folder.path, {});
    expect(await checkNats(host)).toMatchObject({ status: 'note', fix: `${APT} nats-server` });
    expect(await checkCompilers(host)).toMatchObject({ status: 'note', fix: `${APT} g++` });
    expect(await checkPip(host)).toMatchObject({ status: 'note', fix: `${APT} python3 python3-pip` });
    expect(await checkGpu(host)).toEqual({
      ...{ check: 'gpu', status: 'note' },
      detail: 'none (no nvidia-smi); compiling CUDA needs none, running it does',
    });
  });

  it('are named with their versions where they are there', async () => {
    await using folder = await tempFolder();
    const host = await hostWith(folder.path, {
      'nats-server': 'echo "nats-server: v2.9.10"',
      gcc: 'echo gcc 12',
      'g++': 'printf "g++ 12.2.0\\nmore\\n"',
      python3: '[ "$1" = --version ] && echo "Python 3.11.2" || echo "pip 23.0.1 from somewhere"',
      'nvidia-smi': 'echo "GPU 0: NVIDIA A100 (UUID: GPU-1)"; echo "  MIG 1g: (UUID: MIG-1)"',
    });
    expect((await checkNats(host)).detail).toBe('nats-server: v2.9.10');
    expect((await checkCompilers(host)).detail).toBe('g++ 12.2.0');
    expect((await checkPip(host)).detail).toBe('Python 3.11.2, pip 23.0.1');
    expect((await checkGpu(host)).detail).toBe('GPU 0: NVIDIA A100');
  });

  it('tell a half installation from a whole one', async () => {
    await using folder = await tempFolder();
    const host = await hostWith(folder.path, {
      gcc: 'true',
      python3: '[ "$1" = --version ] && echo "Python 3.11.2" || exit 1',
      'nvidia-smi': 'echo "NVIDIA-SMI has failed"; exit 9',
    });
    expect(await checkCompilers(host)).toMatchObject({
      status: 'note',
      detail: expect.stringMatching(/^no g\+\+;/),
    });
    expect(await checkPip(host)).toMatchObject({
      detail: expect.stringMatching(/^no pip;/),
      fix: `${APT} python3-pip`,
    });
    expect((await checkGpu(host)).detail).toMatch(/^none \(NVIDIA-SMI has failed\)/);
  });
});

describe('checkCgroups', () => {
  async function places(folder: string, membership: string, groups: Record<string, string | undefined>) {
    await writeFile(join(folder, 'membership'), membership);
    for (const [path, controllers] of Object.entries(groups)) {
      await mkdir(join(folder, 'fs', path), { recursive: true });
      if (controllers !== undefined)
        await writeFile(join(folder, 'fs', path, 'cgroup.controllers'), controllers);
    }
    return { mount: join(folder, 'fs'), membership: join(folder, 'membership') };
  }

  it('reads version 1, one hierarchy a controller', async () => {
    await using folder = await tempFolder();
    const membership = '3:memory:/own\n2:cpu,cpuacct:/\n1:pids:/of/the/host\n0::/\n';
    const at = await places(folder.path, membership, {
      'memory/own': undefined,
      cpu: undefined,
      pids: undefined,
    });
    expect(await checkCgroups(at)).toEqual({
      ...{ check: 'cgroups', status: 'ok', detail: 'version 1: memory, cpu, pids can be limited' },
    });
  });

  it('reads version 2, where the own group says what it was given', async () => {
    await using folder = await tempFolder();
    const groups = { '': 'cpu memory pids\n', 'user.slice': 'memory pids\n' };
    const at = await places(folder.path, '0::/user.slice\n', groups);
    expect(await checkCgroups(at)).toEqual({
      check: 'cgroups',
      status: 'note',
      detail: 'no limit on cpu of an action can be set by this user; memory, pids can (version 2)',
      fix: 'run the worker as root, or under systemd with Delegate=yes',
    });
  });

  it('says when nothing can be limited', async () => {
    await using folder = await tempFolder();
    const finding = await checkCgroups(await places(folder.path, '', { '.': undefined }));
    expect(finding.detail).toBe('no limit on memory, cpu, pids of an action can be set by this user');
  });
});

describe('checkDataFolder', () => {
  it('looks at the disk of a folder that is not there yet', async () => {
    const [disk] = await checkDataFolder('/no/such/folder', 1000);
    expect(disk?.check).toBe('disk');
    expect(disk?.detail).toMatch(/ free for \/no\/such\/folder/);
  });

  it('names the folder that other users may not enter, to root', async () => {
    await using folder = await tempFolder();
    // mkdtemp makes folders of mode 700.
    const below = join(folder.path, 'a', 'b');
    expect(await checkDataFolder(below, 1000)).toHaveLength(1);
    expect((await checkDataFolder(below, 0))[1]).toEqual({
      check: 'data folder',
      status: 'missing',
      detail: `${below} is below ${folder.path}, which the users that actions run as may not enter`,
      fix: `chmod o+x ${folder.path}, or choose another folder with --data`,
    });
    await chmod(folder.path, 0o711);
    expect(await checkDataFolder(below, 0)).toHaveLength(1);
  });
});

describe('checkOpenFiles', () => {
  it.each([
    ['20000', '20000', 'ok', undefined],
    ['unlimited', 'unlimited', 'ok', undefined],
    ['4096', '20000', 'note', 'ulimit -n 20000'],
    ['256', '256', 'missing', 'raise the hard limit (LimitNOFILE= of systemd)'],
  ])('soft %s, hard %s: %s', async (soft, hard, status, fix) => {
    await using folder = await tempFolder();
    const path = join(folder.path, 'limits');
    await writeFile(
      path,
      `Limit  Soft Limit  Hard Limit  Units\nMax open files   ${soft}   ${hard}   files\n`,
    );
    const finding = await checkOpenFiles(path);
    expect([finding.status, finding.fix]).toEqual([status, fix]);
  });

  it('says when it cannot tell', async () => {
    expect(await checkOpenFiles('/nowhere')).toMatchObject({ status: 'note' });
  });
});

describe('checkPort', () => {
  it('tells a free port from one in use', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
    const { port } = server.address() as { port: number };
    expect(await checkPort(port, 'grpc')).toEqual({
      check: `port ${port}`,
      status: 'note',
      detail: 'in use, perhaps by a farm that runs',
      fix: 'ingot up --grpc 127.0.0.1:PORT chooses another',
    });
    await new Promise((resolve) => server.close(resolve));
    expect(await checkPort(port, 'grpc')).toEqual({
      ...{ check: `port ${port}`, status: 'ok', detail: 'free, for grpc' },
    });
  });
});

describe('checkToolchains', () => {
  it('says how to get one', async () => {
    await using folder = await tempFolder();
    const usualRoot = join(folder.path, 'usual');
    const places = { toolchainsFolder: join(folder.path, 'toolchains'), usualRoot };
    expect(await checkToolchains(await hostWith(folder.path, {}), places)).toEqual([
      expect.objectContaining({ status: 'note', fix: 'ingot toolchain add cuda (123 MiB to download)' }),
    ]);
  });

  it('names the nvcc of this machine, and each that cannot be used', async () => {
    await using folder = await tempFolder();
    const usualRoot = await makeFakeCuda(join(folder.path, 'usual'));
    const toolchainsFolder = join(folder.path, 'toolchains');
    await mkdir(join(toolchainsFolder, 'cuda-13.0'), { recursive: true });
    const host = await hostWith(folder.path, { nvcc: 'exit 1' });
    for (const tool of ['readlink', 'dirname']) {
      await symlink(`/usr/bin/${tool}`, join(folder.path, 'bin', tool));
    }
    const findings = await checkToolchains(host, { toolchainsFolder, usualRoot });
    expect(findings).toEqual([
      { check: 'cuda', status: 'ok', detail: `nvcc 13.5.37 at ${usualRoot}` },
      expect.objectContaining({ status: 'note', detail: expect.stringContaining('cannot be used: ask ') }),
      expect.objectContaining({
        status: 'note',
        detail: expect.stringContaining('cannot be used: read toolchain: no '),
      }),
    ]);
  });
});
