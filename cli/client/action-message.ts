import { Digest } from '../../core/digest.ts';
import { compareUtf8 } from '../../core/utf8-order.ts';
import {
  Action,
  Command,
  Command_OutputDirectoryFormat,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { InputBlob } from './input-blob.ts';

/** Names and values, as of environment variables and platform properties; a name may come more than once. */
export type NamedValues = readonly { readonly name: string; readonly value: string }[];

/** What a person wants run. */
export interface ActionDescription {
  readonly arguments: readonly string[];
  readonly environmentVariables: NamedValues;
  /** Relative to the input root. */
  readonly outputPaths: readonly string[];
  readonly platform: NamedValues;
  readonly inputRootDigest: Digest;
  /** Undefined leaves it to the farm. */
  readonly timeoutMs: number | undefined;
  readonly doNotCache: boolean;
}

/** An Action and its Command, encoded. */
export interface ActionMessage {
  readonly actionDigest: Digest;
  readonly blobs: readonly InputBlob[];
}

/**
 * Encodes an action in the canonical order, so that equal wishes have equal digests. The platform stands in both
 * messages, as REAPI asks for the sake of servers before 2.2.
 */
export function encodeAction(description: ActionDescription): ActionMessage {
  const platform = { properties: sorted(description.platform) };
  const command = encode(
    Command.encode({
      arguments: [...description.arguments],
      environmentVariables: sorted(description.environmentVariables),
      outputFiles: [],
      outputDirectories: [],
      platform,
      workingDirectory: '',
      outputPaths: [...new Set(description.outputPaths)].sort(compareUtf8),
      outputNodeProperties: [],
      outputDirectoryFormat: Command_OutputDirectoryFormat.TREE_ONLY,
    }).finish(),
  );
  const { timeoutMs } = description;
  const action = encode(
    Action.encode({
      commandDigest: command.digest.toMessage(),
      inputRootDigest: description.inputRootDigest.toMessage(),
      timeout:
        timeoutMs === undefined
          ? undefined
          : { seconds: Math.floor(timeoutMs / 1000), nanos: (timeoutMs % 1000) * 1_000_000 },
      doNotCache: description.doNotCache,
      salt: Buffer.alloc(0),
      platform,
    }).finish(),
  );
  return { actionDigest: action.digest, blobs: [command, action] };
}

function encode(bytes: Uint8Array): InputBlob {
  return { digest: Digest.ofBytes(bytes), bytes };
}

function sorted(values: NamedValues): { name: string; value: string }[] {
  return [...values].sort((a, b) => compareUtf8(a.name, b.name) || compareUtf8(a.value, b.value));
}
