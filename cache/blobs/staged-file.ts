import { type FileHandle, open, unlink } from 'node:fs/promises';
import { abortableSource } from '../../core/abortable-source.ts';
import { type Digest, DigestHasher } from '../../core/digest.ts';
import { invalidArgument } from '../../core/error.ts';
import type { FailPoints } from '../../core/fail-point.ts';
import { systemCodeOf } from '../../core/file-error.ts';
import { giveBackOf } from '../../core/streams.ts';
import type { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { GatheringWriter } from './gathering-writer.ts';

/** Blobs are never written to again. */
export const BLOB_MODE = 0o444;

/** How to stage a stream. */
export interface StageOptions {
  readonly digestFunction: DigestFunction_Value;
  /** The first byte beyond it is refused. */
  readonly bytesMax: number;
  /** For messages: what is stored. */
  readonly what: string;
  readonly signal: AbortSignal;
  readonly failPoints: FailPoints;
  /** Called as bytes arrive. */
  readonly onMoved: () => void;
}

/** A source that stages itself, such as an upload of which a part lies in a file already. */
export interface SelfStaging extends AsyncIterable<Uint8Array> {
  /** As {@link stageFile}; the file is in a folder of its own on the same file system. */
  stage(options: StageOptions): Promise<StagedFile>;
  /** The same source; what is still to come passes through `pass`, for who counts it. */
  through(pass: (rest: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>): SelfStaging;
}

/**
 * A new file with all bytes of `source`, hashed on the way; returns their digest, and the file is not synced yet.
 * When that fails the file is gone. INVALID_ARGUMENT when there are too many bytes.
 */
export async function stageFile(
  path: string,
  source: AsyncIterable<Uint8Array>,
  options: StageOptions,
): Promise<StagedFile> {
  if (isSelfStaging(source)) return source.stage(options);
  const handle = await open(path, 'wx', BLOB_MODE);
  try {
    // The mode given to open is cut by the umask.
    await handle.chmod(BLOB_MODE);
    options.failPoints.pass('cas.after_create');
    return new StagedFile(path, handle, { digest: await fill(handle, source, options) });
  } catch (error) {
    await discard(path, handle);
    throw error;
  }
}

/** True for a source that stages itself; who wraps it in another source keeps that by `through`. */
export function isSelfStaging(source: AsyncIterable<Uint8Array>): source is SelfStaging {
  return 'stage' in source && typeof source.stage === 'function';
}

/** A complete file beside the blobs. Dispose of it whether or not it was moved away. */
export class StagedFile implements AsyncDisposable {
  readonly path: string;
  /** Of the bytes that were written. */
  readonly digest: Digest;
  readonly #handle: FileHandle;
  readonly #onDisposed: () => Promise<void>;
  #moved = false;

  constructor(
    path: string,
    handle: FileHandle,
    rest: { readonly digest: Digest; readonly onDisposed?: () => Promise<void> },
  ) {
    this.path = path;
    this.digest = rest.digest;
    this.#handle = handle;
    this.#onDisposed = rest.onDisposed ?? (() => Promise.resolve());
  }

  /** Resolves when the bytes survive a power loss. */
  async sync(): Promise<void> {
    await this.#handle.sync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#moved) await this.#handle.close();
    else await discard(this.path, this.#handle);
    await this.#onDisposed();
  }

  /** Says that it was moved to where it belongs, so that nothing is left to take away. */
  moved(): void {
    this.#moved = true;
  }
}

async function discard(path: string, handle: FileHandle): Promise<void> {
  await handle.close();
  try {
    await unlink(path);
  } catch (error) {
    // It was moved to where it belongs.
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  }
}

async function fill(
  handle: FileHandle,
  source: AsyncIterable<Uint8Array>,
  { digestFunction, bytesMax, what, signal, failPoints, onMoved }: StageOptions,
): Promise<Digest> {
  const hasher = new DigestHasher(digestFunction);
  const giveBack = giveBackOf(source);
  using writer = new GatheringWriter({ handle, position: 0, giveBack });
  for await (const chunk of abortableSource(source, signal)) {
    if (hasher.sizeBytes + chunk.byteLength > bytesMax) {
      throw invalidArgument(`Write ${what}: more than ${bytesMax} bytes arrived`);
    }
    onMoved();
    hasher.update(chunk);
    if (await writer.append(chunk)) failPoints.pass('cas.half_written');
  }
  await writer.flush();
  failPoints.pass('cas.after_write');
  return hasher.digest();
}
