import type { ActionKey } from '../../cache/action-cache.ts';
import type { Digest } from '../../core/digest.ts';
import { ActionResult } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { sampleBlob } from './bytes.ts';

/** An action result with these parts, decoded as from the wire. */
export function result(parts: Partial<ActionResult> = {}): ActionResult {
  const empty = ActionResult.decode(new Uint8Array());
  return ActionResult.decode(ActionResult.encode({ ...empty, ...parts }).finish());
}

/** Output files by path. */
export function outputFiles(files: Record<string, Digest>): ActionResult['outputFiles'] {
  return Object.entries(files).map(([path, digest]) => ({
    path,
    digest: digest.toMessage(),
    isExecutable: false,
    contents: Buffer.alloc(0),
    nodeProperties: undefined,
  }));
}

/** An output directory, by its Tree or by its root. */
export function outputDirectory(
  path: string,
  { tree, root }: { readonly tree?: Digest; readonly root?: Digest },
): ActionResult['outputDirectories'][number] {
  return {
    path,
    treeDigest: tree?.toMessage(),
    isTopologicallySorted: false,
    rootDirectoryDigest: root?.toMessage(),
  };
}

/** A key nobody else has. */
export function actionKey(seed: number, instanceName = ''): ActionKey {
  return { instanceName, actionDigest: sampleBlob(100, 9_000_000 + seed).digest };
}

/** A result for comparing: whether bytes are a Buffer or not does not matter. */
export function shown(filed: ActionResult | undefined): unknown {
  return filed === undefined ? undefined : ActionResult.toJSON(filed);
}
