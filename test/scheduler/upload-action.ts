import type { Digest } from '../../core/digest.ts';
import { encodeCanonical } from '../../core/directory.ts';
import {
  Action,
  Command,
  type DeepPartial,
  Directory,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { MemoryBlobStore } from '../setup/memory-blob-store.ts';

/** Files by name, and folders as nested records. */
export interface InputFiles {
  readonly [name: string]: string | InputFiles;
}

/** What a test says of an action; the rest is a command that could run. */
export interface ActionParts {
  readonly files?: InputFiles;
  readonly command?: DeepPartial<Command>;
  readonly action?: DeepPartial<Action>;
}

/** Stores a tree of directories and files; gives the root. */
export function uploadTree(store: MemoryBlobStore, files: InputFiles): Digest {
  const directory = Directory.create();
  for (const [name, content] of Object.entries(files)) {
    if (typeof content === 'string') {
      const digest = store.put(Buffer.from(content)).toMessage();
      directory.files.push({ name, digest, isExecutable: false, nodeProperties: undefined });
    } else {
      directory.directories.push({ name, digest: uploadTree(store, content).toMessage() });
    }
  }
  return store.put(encodeCanonical(directory));
}

/** Stores an action with its command and inputs, as a client does before Execute. */
export function uploadAction(
  store: MemoryBlobStore,
  { files = { 'main.c': 'int main() {}' }, command = {}, action = {} }: ActionParts = {},
): { actionDigest: Digest; commandDigest: Digest; inputRootDigest: Digest } {
  const commandDigest = store.put(
    Command.encode(
      Command.create({ arguments: ['cc', 'main.c'], outputPaths: ['a.out'], ...command }),
    ).finish(),
  );
  const inputRootDigest = uploadTree(store, files);
  const actionDigest = store.put(
    Action.encode(
      Action.create({
        commandDigest: commandDigest.toMessage(),
        inputRootDigest: inputRootDigest.toMessage(),
        ...action,
      }),
    ).finish(),
  );
  return { actionDigest, commandDigest, inputRootDigest };
}
