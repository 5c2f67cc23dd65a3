import { checkRelativePath } from '../../core/directory.ts';
import type { Command } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/** One output a command says it makes. */
export interface DeclaredOutput {
  /** As declared: from the working directory. */
  readonly path: string;
  /** From the input root. */
  readonly rootPath: string;
  /** `any` since REAPI 2.1; before it, a command had to say which. */
  readonly kind: 'any' | 'file' | 'directory';
}

/** A command's outputs, each once, from `output_paths` or the older fields; INVALID_ARGUMENT for a bad path. */
export function declaredOutputs(command: Command): DeclaredOutput[] {
  const { outputPaths, outputFiles, outputDirectories, workingDirectory } = command;
  const outputs = new Map<string, DeclaredOutput>();
  const declare = (paths: readonly string[], kind: DeclaredOutput['kind'], field: string): void => {
    for (const path of paths) {
      checkRelativePath(path, field, { emptyAllowed: kind !== 'file' });
      outputs.set(path, { path, rootPath: joined(workingDirectory, path), kind });
    }
  };
  if (outputPaths.length > 0) declare(outputPaths, 'any', 'output_paths');
  else {
    declare(outputFiles, 'file', 'output_files');
    declare(outputDirectories, 'directory', 'output_directories');
  }
  return [...outputs.values()];
}

/** The folder an output lies in, from the input root; empty for the root itself. */
export function parentOf({ rootPath }: DeclaredOutput): string {
  return rootPath.includes('/') ? rootPath.slice(0, rootPath.lastIndexOf('/')) : '';
}

function joined(workingDirectory: string, path: string): string {
  if (workingDirectory === '') return path;
  return path === '' ? workingDirectory : `${workingDirectory}/${path}`;
}
