import type { BlobStore } from '../../cache/blob-store.ts';
import { decodeMessage, type ReaderCodec } from '../../core/decode-message.ts';
import { Digest } from '../../core/digest.ts';
import { invalidArgument, isIngotError, wrap } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { collectBytes } from '../../core/streams.ts';
import {
  Action,
  Command,
  type DigestFunction_Value,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { missingInputs } from '../input/input-materialiser.ts';
import { checkCommand } from './command-check.ts';

/** Largest Action or Command; a link of a thousand objects has some 100 KB of arguments. */
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;

/** What an action digest stands for. */
export interface ActionRequest {
  readonly action: Action;
  readonly command: Command;
  readonly inputRootDigest: Digest;
  /** From the Action, else (before REAPI 2.2) from the Command; a name may come more than once. */
  readonly properties: ReadonlyMap<string, readonly string[]>;
}

/** Fetches and checks Action and Command; FAILED_PRECONDITION with MISSING when absent, else INVALID_ARGUMENT. */
export async function fetchActionRequest(
  store: BlobStore,
  actionDigest: Digest,
  options: IoOptions = {},
): Promise<ActionRequest> {
  const { digestFunction } = actionDigest;
  const action = await fetchMessage(store, Action, actionDigest, 'action', options);
  const commandDigest = digestIn(action.commandDigest, digestFunction, 'command_digest');
  const inputRootDigest = digestIn(action.inputRootDigest, digestFunction, 'input_root_digest');
  const command = await fetchMessage(store, Command, commandDigest, 'command', options);
  checkCommand(command);
  const properties = new Map<string, string[]>();
  for (const { name, value } of (action.platform ?? command.platform)?.properties ?? []) {
    properties.set(name, [...(properties.get(name) ?? []), value]);
  }
  return { action, command, inputRootDigest, properties };
}

async function fetchMessage<T>(
  store: BlobStore,
  codec: ReaderCodec<T>,
  digest: Digest,
  what: string,
  options: IoOptions,
): Promise<T> {
  if (digest.sizeBytes > MESSAGE_BYTES_MAX) {
    throw invalidArgument(`${what} ${digest} is larger than ${MESSAGE_BYTES_MAX} bytes`);
  }
  return decodeMessage(codec, await fetchBytes(store, digest, what, options), `${what} ${digest}`);
}

async function fetchBytes(
  store: BlobStore,
  digest: Digest,
  what: string,
  options: IoOptions,
): Promise<Uint8Array> {
  try {
    const source = await store.read(digest, undefined, options);
    if (source !== undefined) {
      return await collectBytes(source, { bytesMax: digest.sizeBytes, what: `${what} ${digest}` });
    }
  } catch (error) {
    // Damaged, and out of the store since this was found: the client can upload it again.
    if (!isIngotError(error, Code.DATA_LOSS)) throw wrap(error, `Fetch ${what} ${digest}`);
  }
  throw missingInputs([digest]);
}

function digestIn(
  message: Parameters<typeof Digest.fromMessage>[0],
  digestFunction: DigestFunction_Value,
  field: string,
): Digest {
  try {
    return Digest.fromMessage(message, digestFunction);
  } catch (error) {
    throw wrap(error, `action: ${field}`);
  }
}
