import { invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';

/** A compute capability as nvcc spells it, taken apart: `sm_90a` is 9, 0, `a`. */
export interface GpuArch {
  readonly major: number;
  readonly minor: number;
  /** `a`: code for exactly this device; `f`: for its family; empty: for any device of the major version. */
  readonly suffix: '' | 'a' | 'f';
}

/** The minor version is the last digit: `sm_103` is 10.3. */
const ARCH = /^sm_(\d{1,2})(\d)([af]?)$/;

/** Parses `sm_80`, `sm_90a`, `sm_103f`; undefined for anything else. */
export function parseGpuArch(text: string): GpuArch | undefined {
  const match = ARCH.exec(text);
  if (match === null) return undefined;
  return { major: Number(match[1]), minor: Number(match[2]), suffix: match[3] as GpuArch['suffix'] };
}

/** Parses what a client asked for; INVALID_ARGUMENT names the property. */
export function parseRequestedGpuArch(text: string): GpuArch {
  const arch = parseGpuArch(text);
  if (arch !== undefined) return arch;
  throw invalidArgument(
    `platform property gpu.arch is ${quote(text)}, expected a compute capability such as sm_80 or sm_90a`,
  );
}

/**
 * True when a device can run code built for `wanted`: the same major version and at least its minor, as CUDA
 * promises for cubins; code with the suffix `a` runs on that very capability only.
 */
export function gpuArchRuns(device: GpuArch, wanted: GpuArch): boolean {
  if (device.major !== wanted.major) return false;
  return wanted.suffix === 'a' ? device.minor === wanted.minor : device.minor >= wanted.minor;
}
