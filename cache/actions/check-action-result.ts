import { Digest } from '../../core/digest.ts';
import { checkRelativePath } from '../../core/directory.ts';
import { invalidArgument, wrap } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import type {
  ActionResult,
  DigestFunction_Value,
  Digest as DigestMessage,
  OutputDirectory,
  OutputSymlink,
} from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/**
 * INVALID_ARGUMENT unless a result that a client made can be filed: the command succeeded, digests are well formed,
 * paths lead downwards and come once, inlined bytes are those of their digests. Says nothing of what is in the CAS.
 */
export function checkActionResult(result: ActionResult, digestFunction: DigestFunction_Value): void {
  if (result.exitCode !== 0) {
    throw invalidArgument(
      `action result has exit code ${result.exitCode}: only results of commands that succeeded are cached`,
    );
  }
  const paths = new Set<string>();
  const claim = (path: string, what: string, emptyAllowed = false): void => {
    checkRelativePath(path, what, { emptyAllowed });
    if (paths.has(path)) throw invalidArgument(`output ${quote(path)} is in the action result twice`);
    paths.add(path);
  };
  for (const { path, digest, contents } of result.outputFiles) {
    claim(path, 'output file');
    if (digest === undefined) throw invalidArgument(`output file ${quote(path)}: digest is missing`);
    checkInlined(digest, contents, { what: `output file ${quote(path)}`, digestFunction });
  }
  for (const directory of result.outputDirectories) {
    claim(directory.path, 'output directory', true);
    checkOutputDirectory(directory, digestFunction);
  }
  const symlinks = [result.outputSymlinks, result.outputFileSymlinks, result.outputDirectorySymlinks];
  for (const path of checkSymlinks(symlinks.flat())) {
    // Bazel names a link in the old list and in the new one.
    if (!paths.has(path)) claim(path, 'output symlink');
  }
  checkInlined(result.stdoutDigest, result.stdoutRaw, { what: 'stdout', digestFunction });
  checkInlined(result.stderrDigest, result.stderrRaw, { what: 'stderr', digestFunction });
}

function checkOutputDirectory(
  { path, treeDigest, rootDirectoryDigest }: OutputDirectory,
  digestFunction: DigestFunction_Value,
): void {
  if (treeDigest === undefined && rootDirectoryDigest === undefined) {
    throw invalidArgument(
      `output directory ${quote(path)}: it has neither a tree digest nor a root directory digest`,
    );
  }
  for (const digest of [treeDigest, rootDirectoryDigest]) {
    checkInlined(digest, undefined, { what: `output directory ${quote(path)}`, digestFunction });
  }
}

function checkSymlinks(symlinks: readonly OutputSymlink[]): Set<string> {
  for (const { path, target } of symlinks) {
    if (target === '') throw invalidArgument(`output symlink ${quote(path)} has no target`);
  }
  return new Set(symlinks.map(({ path }) => path));
}

function checkInlined(
  message: DigestMessage | undefined,
  inlined: Uint8Array | undefined,
  { what, digestFunction }: { readonly what: string; readonly digestFunction: DigestFunction_Value },
): void {
  if (message === undefined) return;
  let digest: Digest;
  try {
    digest = Digest.fromMessage(message, digestFunction);
  } catch (error) {
    throw wrap(error, what);
  }
  if (inlined === undefined || inlined.byteLength === 0) return;
  const seen = Digest.ofBytes(inlined, digestFunction);
  if (seen.key !== digest.key) {
    throw invalidArgument(`${what}: the bytes that came with it are ${seen}, its digest is ${digest}`);
  }
}
