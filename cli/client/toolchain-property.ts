/** The platform property by which a worker announces a toolchain and an action asks for it. */
export const TOOLCHAIN_PROPERTY = 'toolchain';

/** A toolchain as a worker announces it: `cuda-13.5-0123456789ab`. */
export interface ToolchainProperty {
  readonly name: string;
  readonly version: string;
  /** The whole property value. */
  readonly value: string;
}

const VALUE = /^([a-z0-9][a-z0-9.+-]*?)-([0-9][a-z0-9.+]*)-[0-9a-f]{8,64}$/;

const CUDA_TOOLS = [
  'nvcc',
  'ptxas',
  'cicc',
  'cudafe++',
  'fatbinary',
  'nvlink',
  'bin2c',
  'cuobjdump',
  'nvdisasm',
  'nvprune',
  'cu++filt',
];

const TOOLCHAIN_OF_TOOL: ReadonlyMap<string, string> = new Map(CUDA_TOOLS.map((tool) => [tool, 'cuda']));

/** The parts of a property value, or undefined when it is not of that shape. */
export function parseToolchainProperty(value: string): ToolchainProperty | undefined {
  const [, name, version] = VALUE.exec(value) ?? [];
  return name === undefined || version === undefined ? undefined : { name, version, value };
}

/**
 * Names of the toolchains whose tools a command line mentions, in the program's place or in any word of a shell
 * line. A script that calls a tool by itself is not looked into: `--platform toolchain=…` is for those.
 */
export function toolchainsMentioned(commandLine: readonly string[]): Set<string> {
  const words = commandLine.flatMap((argument) => argument.split(/[\s;&|()<>'"`=]+/));
  const names = words.map((word) => TOOLCHAIN_OF_TOOL.get(word.slice(word.lastIndexOf('/') + 1)));
  return new Set(names.filter((name) => name !== undefined));
}
