import { invalidArgument, unavailable } from '../../core/error.ts';
import { NODE_NAME_BYTES_MAX } from '../../core/node-name.ts';
import { quote } from '../../core/quote.ts';
import type { Toolchain } from '../../core/toolchain/toolchain.ts';
import type { SandboxMount } from '../../proto/gen/ingot/v1/launcher.ts';
import { INPUT_ROOT_PATH } from '../sandbox/sandbox.ts';
import type { SandboxLevel } from '../sandbox/sandbox-level.ts';

/** What this worker has to serve a platform with. */
export interface WorkerPlatform {
  readonly level: SandboxLevel;
  readonly toolchains: readonly Toolchain[];
  /** Property names for which the operator said that the host stands in. */
  readonly acceptedNames: readonly string[];
}

/** What an action's platform properties mean for its sandbox. */
export interface ActionPlatform {
  readonly toolchains: readonly Toolchain[];
  readonly mounts: readonly SandboxMount[];
  readonly inputRootPath: string;
}

/** Where other things are: an input root there would hide them, or be hidden. */
const TAKEN = [
  ...['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/etc', '/var'],
  ...['/proc', '/sys', '/dev', '/opt/ingot'],
];

/** What is left of the system's longest path is for what lies below it. */
const PATH_LENGTH_MAX = 500;

/**
 * Reads the properties that shape a sandbox: `toolchain` (any number; no other is mounted) and `InputRootAbsolutePath`.
 * UNAVAILABLE for a toolchain that is here no more; INVALID_ARGUMENT for a path that cannot be.
 */
export function actionPlatform(
  properties: ReadonlyMap<string, readonly string[]>,
  { level, toolchains, acceptedNames }: WorkerPlatform,
): ActionPlatform {
  const wanted = new Set(properties.get('toolchain') ?? []);
  const found = [...wanted].flatMap((value) => {
    const toolchain = toolchains.find(({ id }) => id === value);
    if (toolchain !== undefined) return [toolchain];
    if (acceptedNames.includes('toolchain')) return [];
    throw unavailable(`toolchain ${quote(value)} is not on this worker any more`);
  });
  return {
    toolchains: level === 'none' ? found.map(onHost) : found,
    mounts: found.flatMap(({ mounts }) =>
      mounts.map(({ source, target }) => ({ hostPath: source, sandboxPath: target, device: false })),
    ),
    inputRootPath: level === 'none' ? INPUT_ROOT_PATH : inputRootPath(properties),
  };
}

/** Without a sandbox nothing is mounted anywhere: the toolchain is used where it lies. */
function onHost(toolchain: Toolchain): Toolchain {
  const { mountPoint, hostRoot, pathEntries, environment } = toolchain;
  const moved = (path: string): string =>
    path === mountPoint || path.startsWith(`${mountPoint}/`)
      ? hostRoot + path.slice(mountPoint.length)
      : path;
  return {
    ...toolchain,
    pathEntries: pathEntries.map(moved),
    environment: Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, moved(value)])),
  };
}

function inputRootPath(properties: ReadonlyMap<string, readonly string[]>): string {
  const [path = INPUT_ROOT_PATH, ...others] = new Set(properties.get('InputRootAbsolutePath') ?? []);
  const refuse = (why: string) => invalidArgument(`InputRootAbsolutePath ${quote(path)} ${why}`);
  if (others.length > 0) throw refuse('is given with another value as well');
  if (!/^(?:\/[A-Za-z0-9._+@-]+)+$/.test(path) || /\/\.{1,2}(?:\/|$)/.test(path)) {
    throw refuse('is not an absolute path of plain names');
  }
  // Below /tmp there is room; anywhere else, neither may lie within the other.
  if (path === '/tmp' || TAKEN.some((taken) => isWithin(path, taken) || isWithin(taken, path))) {
    throw refuse('is a place where the sandbox has something else');
  }
  if (path.length > PATH_LENGTH_MAX || path.split('/').some(({ length }) => length > NODE_NAME_BYTES_MAX)) {
    throw refuse(`is longer than ${PATH_LENGTH_MAX} characters, or has a name of more than 255`);
  }
  return path;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
