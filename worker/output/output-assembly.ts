import { failedPrecondition, internal } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import type {
  ActionResult,
  DigestFunction_Value,
  Command_OutputDirectoryFormat as Format,
  NodeProperties,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { type OutputEntry, OutputEntry_Kind } from '../../proto/gen/ingot/v1/launcher.ts';
import type { DeclaredOutput } from './declared-outputs.ts';
import type { OutputBlob } from './output-blob.ts';
import { type FoundDirectory, storeDirectory } from './output-directory.ts';

/** The part of an ActionResult that names outputs. */
export type ActionOutputs = Pick<
  ActionResult,
  'outputFiles' | 'outputDirectories' | 'outputSymlinks' | 'outputFileSymlinks' | 'outputDirectorySymlinks'
>;

/** What was found, and how it is to be told. */
export interface OutputAssemblyOptions {
  readonly declared: readonly DeclaredOutput[];
  /** As the sandbox lists them: directories before what is in them. */
  readonly entries: readonly OutputEntry[];
  /** The files' blobs, by path. */
  readonly files: ReadonlyMap<string, OutputBlob>;
  readonly format: Format;
  readonly digestFunction: DigestFunction_Value;
  /** Asked for by `output_node_properties`; others are not known here. */
  readonly nodeProperties: readonly string[];
}

/** The owner's execute bit: what made the file executable for the action itself. */
const OWNER_EXECUTES = 0o100;
const PERMISSION_BITS = 0o777;

interface MutableDirectory extends FoundDirectory {
  readonly children: Map<string, MutableDirectory>;
}

/** Puts a run's outputs into the words of an ActionResult, and says which blobs must be stored for it. */
export class OutputAssembly {
  readonly outputs: ActionOutputs = {
    outputFiles: [],
    outputDirectories: [],
    outputSymlinks: [],
    outputFileSymlinks: [],
    outputDirectorySymlinks: [],
  };
  readonly blobs: OutputBlob[] = [];
  readonly #options: OutputAssemblyOptions;

  /** FAILED_PRECONDITION when something is not of the kind it was declared to be. */
  constructor(options: OutputAssemblyOptions) {
    this.#options = options;
    const byOutput = Map.groupBy(options.entries, ({ pathIndex }) => pathIndex);
    for (const [index, declared] of options.declared.entries()) {
      const [top, ...below] = byOutput.get(index) ?? [];
      if (top !== undefined) this.#add(declared, top, below);
    }
  }

  #add(declared: DeclaredOutput, top: OutputEntry, below: readonly OutputEntry[]): void {
    const { path, kind } = declared;
    switch (top.kind) {
      case OutputEntry_Kind.FILE: {
        if (kind === 'directory') throw wrongKind(path, 'directory', 'file');
        const digest = this.#fileDigest(top);
        const isExecutable = isExecutableFile(top);
        const contents = Buffer.alloc(0);
        this.outputs.outputFiles.push({
          path,
          digest,
          isExecutable,
          contents,
          nodeProperties: this.#properties(top),
        });
        return;
      }
      case OutputEntry_Kind.SYMLINK: {
        const { outputSymlinks, outputFileSymlinks, outputDirectorySymlinks } = this.outputs;
        const list = { any: outputSymlinks, file: outputFileSymlinks, directory: outputDirectorySymlinks }[
          kind
        ];
        list.push({ path, target: top.target, nodeProperties: this.#properties(top) });
        return;
      }
      case OutputEntry_Kind.DIRECTORY: {
        if (kind === 'file') throw wrongKind(path, 'file', 'directory');
        const found = this.#directoryOf(top, below);
        const { output, blobs } = storeDirectory(path, found, this.#options);
        this.outputs.outputDirectories.push(output);
        this.blobs.push(...blobs);
        return;
      }
      default:
        throw internal(`output ${quote(path)} is of an unknown kind`);
    }
  }

  #directoryOf(top: OutputEntry, below: readonly OutputEntry[]): FoundDirectory {
    const root = this.#emptyDirectory(top);
    const byPath = new Map([[top.path, root]]);
    for (const entry of below) {
      const slash = entry.path.lastIndexOf('/');
      const name = entry.path.slice(slash + 1);
      const parent = byPath.get(slash === -1 ? '' : entry.path.slice(0, slash));
      if (parent === undefined) throw internal(`output ${quote(entry.path)} was listed before its directory`);
      const nodeProperties = this.#properties(entry);
      switch (entry.kind) {
        case OutputEntry_Kind.DIRECTORY: {
          const child = this.#emptyDirectory(entry);
          parent.children.set(name, child);
          byPath.set(entry.path, child);
          break;
        }
        case OutputEntry_Kind.SYMLINK:
          parent.directory.symlinks.push({ name, target: entry.target, nodeProperties });
          break;
        default: {
          const isExecutable = isExecutableFile(entry);
          parent.directory.files.push({
            name,
            digest: this.#fileDigest(entry),
            isExecutable,
            nodeProperties,
          });
        }
      }
    }
    return root;
  }

  #emptyDirectory(entry: OutputEntry): MutableDirectory {
    const nodeProperties = this.#properties(entry);
    return { directory: { files: [], directories: [], symlinks: [], nodeProperties }, children: new Map() };
  }

  #fileDigest({ path }: OutputEntry) {
    const blob = this.#options.files.get(path);
    if (blob === undefined) throw internal(`output ${quote(path)} was not hashed`);
    this.blobs.push(blob);
    return blob.digest.toMessage();
  }

  #properties({ mtime, unixMode }: OutputEntry): NodeProperties | undefined {
    const asked = this.#options.nodeProperties;
    const wanted = { mtime: asked.includes('mtime'), unixMode: asked.includes('unix_mode') };
    if (!wanted.mtime && !wanted.unixMode) return undefined;
    return {
      properties: [],
      mtime: wanted.mtime ? mtime : undefined,
      unixMode: wanted.unixMode ? unixMode & PERMISSION_BITS : undefined,
    };
  }
}

function isExecutableFile({ unixMode }: OutputEntry): boolean {
  return (unixMode & OWNER_EXECUTES) !== 0;
}

function wrongKind(path: string, declared: string, seen: string) {
  return failedPrecondition(`output ${quote(path)} was declared as a ${declared} and is a ${seen}`);
}
