import { fileURLToPath } from 'node:url';

/** One action of the demo: what it reads, runs and makes. Paths are relative to the project's folder. */
export interface DemoAction {
  /** For people: `matmul sm_90`. */
  readonly label: string;
  readonly commandLine: readonly string[];
  /** The files it reads: sources, or outputs of the actions before. */
  readonly inputs: readonly string[];
  readonly output: string;
}

/** What `ingot demo` builds: independent objects, then a link that needs them all. */
export interface DemoProject {
  readonly language: 'CUDA' | 'C++';
  /** Where the sources are on this machine. */
  readonly folder: string;
  readonly objects: readonly DemoAction[];
  readonly link: DemoAction;
}

interface Source {
  readonly name: string;
  readonly headers: readonly string[];
}

/** What examples/kernels is made for: its program refers to an object of each kernel for each of them. */
export const DEMO_ARCHITECTURES: readonly string[] = ['sm_80', 'sm_86', 'sm_90'];

/** The kernels of examples/kernels, one action per kernel and GPU architecture. */
export function cudaDemoProject(architectures: readonly string[] = DEMO_ARCHITECTURES): DemoProject {
  const sources: Source[] = [
    { name: 'saxpy', headers: [] },
    { name: 'reduce', headers: ['tile.cuh'] },
    { name: 'matmul', headers: ['tile.cuh'] },
  ];
  const objects = sources.flatMap((source) => architectures.map((arch) => compileKernel(source, arch)));
  return {
    language: 'CUDA',
    folder: exampleFolder('kernels'),
    objects,
    // No object holds relocatable device code, so there is nothing to link on the device's side.
    link: linkAction(['nvcc', '-O3', '--no-device-link'], objects, 'kernels'),
  };
}

/** The functions of examples/cpp, for a machine where no nvcc can be had. */
export function cppDemoProject(): DemoProject {
  const sources: Source[] = [
    { name: 'saxpy', headers: [] },
    { name: 'reduce', headers: ['tile.h'] },
    { name: 'matmul', headers: ['tile.h'] },
  ];
  const objects = sources.map(({ name, headers }) => ({
    label: name,
    commandLine: ['g++', '-O2', '-c', `${name}.cpp`, '-o', `${name}.o`],
    inputs: [`${name}.cpp`, ...headers],
    output: `${name}.o`,
  }));
  return {
    language: 'C++',
    folder: exampleFolder('cpp'),
    objects,
    link: linkAction(['g++', '-O2'], objects, 'numbers'),
  };
}

function compileKernel({ name, headers }: Source, arch: string): DemoAction {
  const output = `${name}.${arch}.o`;
  const gencode = `arch=${arch.replace('sm_', 'compute_')},code=${arch}`;
  const target = ['-gencode', gencode, `-DKERNEL_ARCH=${arch}`];
  return {
    label: `${name} ${arch}`,
    commandLine: ['nvcc', '-O3', '-c', ...target, `${name}.cu`, '-o', output],
    inputs: [`${name}.cu`, ...headers],
    output,
  };
}

function linkAction(program: readonly string[], objects: readonly DemoAction[], output: string): DemoAction {
  const inputs = ['main.cpp', ...objects.map((action) => action.output)];
  return { label: `link ${output}`, commandLine: [...program, ...inputs, '-o', output], inputs, output };
}

function exampleFolder(name: string): string {
  return fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));
}
