import type { Digest } from '../../core/digest.ts';
import { ActionResult } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

/**
 * A result as it is filed: the bytes, and what they say. It may be shared by all who ask for it, so nobody changes one;
 * a copy (`{ ...result }`) is a plain result again.
 */
export class FiledResult implements ActionResult {
  readonly outputFiles: ActionResult['outputFiles'];
  readonly outputFileSymlinks: ActionResult['outputFileSymlinks'];
  readonly outputSymlinks: ActionResult['outputSymlinks'];
  readonly outputDirectories: ActionResult['outputDirectories'];
  readonly outputDirectorySymlinks: ActionResult['outputDirectorySymlinks'];
  readonly exitCode: number;
  readonly stdoutRaw: Uint8Array;
  readonly stdoutDigest: ActionResult['stdoutDigest'];
  readonly stderrRaw: Uint8Array;
  readonly stderrDigest: ActionResult['stderrDigest'];
  readonly executionMetadata: ActionResult['executionMetadata'];
  readonly #encoded: Uint8Array;
  #needs: readonly Digest[] | undefined;

  /** Throws when the bytes are no action result. */
  constructor(encoded: Uint8Array) {
    const result = ActionResult.decode(encoded);
    this.outputFiles = result.outputFiles;
    this.outputFileSymlinks = result.outputFileSymlinks;
    this.outputSymlinks = result.outputSymlinks;
    this.outputDirectories = result.outputDirectories;
    this.outputDirectorySymlinks = result.outputDirectorySymlinks;
    this.exitCode = result.exitCode;
    this.stdoutRaw = result.stdoutRaw;
    this.stdoutDigest = result.stdoutDigest;
    this.stderrRaw = result.stderrRaw;
    this.stderrDigest = result.stderrDigest;
    this.executionMetadata = result.executionMetadata;
    this.#encoded = encoded;
  }

  /** The result, encoded. */
  get encoded(): Uint8Array {
    return this.#encoded;
  }

  /**
   * Every blob without which it is of no use, those in its trees included; undefined until someone has looked into them.
   * What a digest names never changes, so this holds for ever.
   */
  get needs(): readonly Digest[] | undefined {
    return this.#needs;
  }

  /** Once all of them were found. */
  setNeeds(needs: readonly Digest[]): void {
    this.#needs = needs;
  }
}
