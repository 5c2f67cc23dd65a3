import { lstat, mkdir, readdir, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SandboxMount, SandboxSymlink } from '../../proto/gen/ingot/v1/launcher.ts';
import { SANDBOX_HOST_NAME, SANDBOX_USER_ID } from './sandbox.ts';

/** What commands see of this machine, read-only. Nothing of /home, /root, /var, /opt, /srv or /etc at large. */
export interface HostImage {
  readonly mounts: readonly SandboxMount[];
  readonly symlinks: readonly SandboxSymlink[];
}

/** Top-level folders of programs and libraries; on most systems all but /usr are links into it. */
const SYSTEM_FOLDERS = ['usr', 'bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'];

/**
 * What programs look up in /etc without being configured by it for one machine: the loader's cache, alternatives,
 * parts of compilers and interpreters. No local time: sandboxes live in UTC.
 */
const ETC_PATTERNS: readonly RegExp[] = [
  /^ld\.so\.(cache|conf|conf\.d)$/,
  /^(alternatives|crypto-policies|perl|python[0-9.]*|java-[0-9]+-openjdk|fonts|clang)$/,
  /^(os-release|debian_version|protocols|services|rpc|mime\.types|magic|magic\.mime)$/,
];
/** Public certificates, without the private keys beside them. */
const ETC_PATHS = ['ssl/certs', 'ssl/openssl.cnf', 'pki/tls/certs', 'pki/ca-trust/extracted'];

const USER = SANDBOX_USER_ID;
/** Files of /etc that are the same on every worker. */
const MADE_UP_FILES: Readonly<Record<string, string>> = {
  passwd: [
    'root:x:0:0:root:/:/bin/false',
    `ingot:x:${USER}:${USER}:ingot:/tmp:/bin/sh`,
    'nobody:x:65534:65534:nobody:/:/bin/false',
    '',
  ].join('\n'),
  group: ['root:x:0:', `ingot:x:${USER}:`, 'nogroup:x:65534:', ''].join('\n'),
  hosts: `127.0.0.1 localhost ${SANDBOX_HOST_NAME}\n::1 localhost\n`,
  hostname: `${SANDBOX_HOST_NAME}\n`,
  'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n',
};

/** Looks at the machine and writes the made-up files into `folder`, a folder of the worker's own. */
export async function prepareHostImage(folder: string, machineRoot = '/'): Promise<HostImage> {
  const mounts: SandboxMount[] = [];
  const symlinks: SandboxSymlink[] = [];
  for (const name of SYSTEM_FOLDERS) {
    const path = join(machineRoot, name);
    const stats = await lstat(path).catch(() => undefined);
    if (stats?.isSymbolicLink()) symlinks.push({ path: `/${name}`, target: await readlink(path) });
    else if (stats?.isDirectory()) mounts.push(mount(path, `/${name}`));
  }
  const etc = join(machineRoot, 'etc');
  for (const path of await imageEtcPaths(etc)) mounts.push(mount(join(etc, path), `/etc/${path}`));

  await mkdir(folder, { recursive: true, mode: 0o755 });
  for (const [name, text] of Object.entries(MADE_UP_FILES)) {
    await writeFile(join(folder, name), text, { mode: 0o644 });
    mounts.push(mount(join(folder, name), `/etc/${name}`));
  }
  return { mounts, symlinks };
}

/** What below /etc is part of the image, sorted. */
export async function imageEtcPaths(etc: string): Promise<string[]> {
  const names = (await readdir(etc)).filter((name) => ETC_PATTERNS.some((pattern) => pattern.test(name)));
  const paths = await Promise.all(
    ETC_PATHS.map(async (path) => ((await lstat(join(etc, path)).catch(() => undefined)) ? [path] : [])),
  );
  return [...names, ...paths.flat()].sort();
}

function mount(hostPath: string, sandboxPath: string): SandboxMount {
  return { hostPath, sandboxPath, device: false };
}
