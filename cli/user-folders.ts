import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** Root's home is closed to the users that actions run as, who must reach inputs and toolchains in this folder. */
const ROOT_DATA_FOLDER = '/var/lib/ingot';

/**
 * Where a farm keeps its data, and toolchains live, unless `--data` says otherwise: INGOT_DATA, else `ingot` in
 * XDG_DATA_HOME, else /var/lib/ingot for root and ~/.local/share/ingot for others.
 */
export function dataFolder(environment: Environment, uid: number | undefined = process.getuid?.()): string {
  const named = environment.INGOT_DATA;
  if (named !== undefined && isAbsolute(named)) return named;
  const xdg = xdgFolder(environment.XDG_DATA_HOME);
  if (xdg !== undefined) return join(xdg, 'ingot');
  return uid === 0 ? ROOT_DATA_FOLDER : join(home(environment), '.local', 'share', 'ingot');
}

/** What may be lost at any time: `ingot` in XDG_CACHE_HOME or ~/.cache. */
export function cacheFolder(environment: Environment): string {
  return join(xdgFolder(environment.XDG_CACHE_HOME) ?? join(home(environment), '.cache'), 'ingot');
}

/** A relative path in these variables is to be ignored, the XDG base directory specification says. */
function xdgFolder(value: string | undefined): string | undefined {
  return value !== undefined && isAbsolute(value) ? value : undefined;
}

function home(environment: Environment): string {
  return environment.HOME || homedir();
}
