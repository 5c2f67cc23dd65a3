/**
 * How far an action is kept from the machine. `strict`: own real user, namespaces, system call filter, read-only
 * root image. `basic`: namespaces and image, but the worker's own user. `none`: a plain process; no protection.
 */
export const SANDBOX_LEVELS = ['strict', 'basic', 'none'] as const;
export type SandboxLevel = (typeof SANDBOX_LEVELS)[number];

/** True for the name of a level. */
export function isSandboxLevel(text: string): text is SandboxLevel {
  return SANDBOX_LEVELS.some((level) => level === text);
}
