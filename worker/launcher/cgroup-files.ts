import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { signalProcess } from './process-tree.ts';

/** The folder below a controller's own that holds the groups of all ingot workers of the machine. */
export const INGOT_GROUP = 'ingot';
/** Quotas are per this period, the kernel's default. */
export const CPU_PERIOD_US = 100_000;

/** A control file's text; undefined when the kernel has no such file. */
export function readControl(folder: string, file: string): string | undefined {
  try {
    return readFileSync(join(folder, file), 'utf8').trim();
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** A control file that holds one number. */
export function readControlNumber(folder: string, file: string): number | undefined {
  const text = readControl(folder, file);
  return text === undefined || !/^[0-9]+$/.test(text) ? undefined : Number(text);
}

/** The number behind a word in a control file of `word number` lines. */
export function readControlField(folder: string, file: string, field: string): number | undefined {
  for (const line of readControl(folder, file)?.split('\n') ?? []) {
    const [name, value] = line.split(' ');
    if (name === field && value !== undefined) return Number(value);
  }
  return undefined;
}

export function writeControl(folder: string, file: string, value: string | number): void {
  writeFileSync(join(folder, file), String(value));
}

export function makeGroup(folder: string): void {
  mkdirSync(folder, { recursive: true });
}

/** Removes a group; false when it is still in use, true when it is gone. */
export function removeGroup(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    if (isAbsent(error)) return true;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EBUSY' || code === 'ENOTEMPTY') return false;
    throw error;
  }
}

/** Removes the stale and empty groups below our own one of a controller, and our own one if it can be. */
export function tidyGroups(controllerFolder: string, isStale: (name: string) => boolean): void {
  const own = join(controllerFolder, INGOT_GROUP);
  for (const name of readGroups(own).filter(isStale)) removeGroup(join(own, name));
  removeGroup(own);
}

function readGroups(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    );
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

export function groupMembers(folder: string): number[] {
  const text = readControl(folder, 'cgroup.procs') ?? '';
  return text === '' ? [] : text.split('\n').map(Number);
}

export function killMembers(folder: string): void {
  for (const pid of groupMembers(folder)) signalProcess(pid, 'SIGKILL');
}

function isAbsent(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENODEV';
}
