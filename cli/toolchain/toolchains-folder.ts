import { join, resolve } from 'node:path';
import { dataFolder } from '../user-folders.ts';

interface FolderOptions {
  /** Of `--data`; undefined for the usual place. */
  readonly data: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/** The data folder that `--data` names, else the usual one of this user. */
export function chosenDataFolder({ data, environment, cwd }: FolderOptions): string {
  return data === undefined ? dataFolder(environment) : resolve(cwd, data);
}

/** Where the toolchains of a data folder are. */
export function toolchainsFolder(dataFolderPath: string): string {
  return join(dataFolderPath, 'toolchains');
}
