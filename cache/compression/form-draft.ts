import { linkedAbort } from '../../core/abort.ts';
import type { Digest } from '../../core/digest.ts';
import { cancelled } from '../../core/error.ts';
import { WholeBytes } from '../../core/streams.ts';
import { DigestFunction_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { BlobIngest } from '../blobs/blob-ingest.ts';
import { PushSource } from '../grpc/push-source.ts';

/** How a draft ended: with the stored form's digest, or without; then `isTooLarge` may say why. */
export interface FormOutcome {
  readonly digest: Digest | undefined;
  readonly isTooLarge: boolean;
}

/**
 * A compressed form that is stored while it is sent or received. States: open, finished, given up (it grew too large,
 * the store would not have it, or it was disposed of unfinished). Giving up is no error to anyone: the blob is only
 * compressed again another time. Adding waits for the disk, so that nothing gathers in memory.
 */
export class FormDraft implements Disposable {
  /** Resolves, always, when the form is stored or given up. */
  readonly outcome: Promise<FormOutcome>;
  readonly #bytesMax: number;
  readonly #source = new PushSource();
  readonly #abort = linkedAbort();
  #sizeBytes = 0;
  #isFinished = false;

  constructor(ingest: BlobIngest, bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.outcome = this.#store(ingest);
  }

  /** The same stream, added to the draft on its way. */
  follow(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    if (!(source instanceof WholeBytes)) return this.#following(source);
    this.#push(source.bytes);
    return source;
  }

  /** All of the form has been added, and it is right. */
  finish(): void {
    this.#isFinished = true;
    this.#source.end();
  }

  [Symbol.dispose](): void {
    if (this.#isFinished) return;
    this.#giveUp();
  }

  async *#following(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of source) {
      this.#push(chunk);
      await this.#source.drained();
      yield chunk;
    }
  }

  #push(chunk: Uint8Array): void {
    this.#sizeBytes += chunk.byteLength;
    if (this.#sizeBytes > this.#bytesMax) this.#giveUp();
    else this.#source.push(chunk);
  }

  async #store(ingest: BlobIngest): Promise<FormOutcome> {
    const { signal } = this.#abort;
    const options = { digestFunction: DigestFunction_Value.SHA256, bytesMax: this.#bytesMax, signal };
    let digest: Digest | undefined;
    try {
      digest = await ingest.ingest(this.#source, options);
    } catch {
      // Given up, or the disk is full: the blob itself is not touched by it.
    }
    await this.#source.return();
    return { digest, isTooLarge: this.#sizeBytes > this.#bytesMax };
  }

  #giveUp(): void {
    const reason = cancelled('the compressed form is not kept');
    this.#source.fail(reason);
    this.#abort.abort(reason);
  }
}
