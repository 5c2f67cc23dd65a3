import type { Digest } from '../../core/digest.ts';
import { encodeCanonical } from '../../core/directory.ts';
import {
  Action,
  Command,
  Directory,
  type NodeProperties,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { MemoryBlobStore } from '../setup/memory-blob-store.ts';

type Sketch = InputTreeSketch[string];

/** A directory as tests write it: text is a file, `#!` at its start makes it executable, an object is a directory. */
export interface InputTreeSketch {
  readonly [name: string]: string | InputTreeSketch | { readonly symlink: string } | InputFileSketch;
}

/** A file with more to say. */
export interface InputFileSketch {
  readonly bytes: Uint8Array;
  readonly executable?: boolean;
  readonly nodeProperties?: NodeProperties;
}

/** An action as tests write it. */
export interface ActionSketch {
  readonly arguments: readonly string[];
  readonly inputs?: InputTreeSketch;
  readonly environment?: Readonly<Record<string, string>>;
  readonly platform?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly command?: Partial<Command>;
}

/** Puts an action with everything it needs into a store. */
export function storeAction(store: MemoryBlobStore, sketch: ActionSketch): Digest {
  const inputRoot = storeTree(store, sketch.inputs ?? {});
  const variables = Object.entries(sketch.environment ?? {});
  const command = store.put(
    Command.encode(
      Command.create({
        arguments: [...sketch.arguments],
        environmentVariables: variables.map(([name, value]) => ({ name, value })),
        ...sketch.command,
      }),
    ).finish(),
  );
  const { timeoutMs } = sketch;
  const properties = Object.entries(sketch.platform ?? {}).map(([name, value]) => ({ name, value }));
  return store.put(
    Action.encode(
      Action.create({
        commandDigest: command.toMessage(),
        inputRootDigest: inputRoot.toMessage(),
        platform: { properties },
        ...(timeoutMs !== undefined && {
          timeout: { seconds: Math.floor(timeoutMs / 1000), nanos: (timeoutMs % 1000) * 1e6 },
        }),
      }),
    ).finish(),
  );
}

/** Puts a directory and all below it into a store. */
export function storeTree(store: MemoryBlobStore, sketch: InputTreeSketch): Digest {
  const directory = Directory.create();
  for (const [name, node] of Object.entries(sketch)) {
    if (typeof node === 'string') {
      const digest = store.put(Buffer.from(node)).toMessage();
      directory.files.push({ name, digest, isExecutable: node.startsWith('#!'), nodeProperties: undefined });
    } else if (isFile(node)) {
      const { bytes, executable = false, nodeProperties } = node;
      const digest = store.put(bytes).toMessage();
      directory.files.push({ name, digest, isExecutable: executable, nodeProperties });
    } else if (isSymlink(node)) {
      directory.symlinks.push({ name, target: node.symlink, nodeProperties: undefined });
    } else {
      directory.directories.push({ name, digest: storeTree(store, node).toMessage() });
    }
  }
  return store.put(encodeCanonical(directory));
}

function isFile(node: Sketch): node is InputFileSketch {
  return typeof node === 'object' && 'bytes' in node && node.bytes instanceof Uint8Array;
}

function isSymlink(node: Sketch): node is { readonly symlink: string } {
  return typeof node === 'object' && 'symlink' in node && typeof node.symlink === 'string';
}
