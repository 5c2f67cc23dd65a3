import type { Toolchain } from '../../core/toolchain/toolchain.ts';

/** A toolchain as `--json` shows it. */
export interface ToolchainFacts {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly build: string;
  readonly source: string;
  readonly identity: string;
  readonly files: number;
  readonly bytes: number;
  readonly root: string;
  readonly mountPoint: string;
}

/** What of a toolchain programs are told. */
export function toolchainFacts({ hostRoot, ...toolchain }: Toolchain): ToolchainFacts {
  const { id, name, version, build, source, identity, files, bytes, mountPoint } = toolchain;
  return { id, name, version, build, source, identity, files, bytes, root: hostRoot, mountPoint };
}
