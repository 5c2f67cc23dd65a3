/** Longest name of a file, directory or symlink, in bytes of UTF-8: what Linux file systems can hold. */
export const NODE_NAME_BYTES_MAX = 255;

/** Why a string cannot be one segment of a path on every machine of a farm, as the end of a sentence; or undefined. */
export function nodeNameProblem(name: string): string | undefined {
  if (name === '') return 'is empty';
  if (name === '.' || name === '..') return 'leads elsewhere';
  if (name.includes('/')) return 'contains a slash';
  if (name.includes('\0')) return 'contains a NUL';
  if (!name.isWellFormed()) return 'is not well-formed Unicode';
  // Many decoders drop a leading byte order mark, so two parts of a farm would see two different names.
  if (name.startsWith('\uFEFF')) return 'begins with a byte order mark';
  if (Buffer.byteLength(name) > NODE_NAME_BYTES_MAX) return `is longer than ${NODE_NAME_BYTES_MAX} bytes`;
  return undefined;
}
