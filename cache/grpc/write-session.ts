import assert from 'node:assert/strict';
import { abortReason, linkedAbort, untilAborted } from '../../core/abort.ts';
import type { Digest } from '../../core/digest.ts';
import { aborted, type IngotError, invalidArgument, outOfRange, toIngotError } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import type { ByteBudget } from '../../core/rpc/rpc-byte-budget.ts';
import type { UploadStage } from '../uploads/upload-stage.ts';
import { PushSource } from './push-source.ts';
import type { UploadSink } from './upload-sink.ts';

/** What a {@link WriteSession} is made of. */
export interface WriteSessionOptions {
  readonly digest: Digest;
  readonly sink: UploadSink;
  /** The build that it is part of. */
  readonly invocationId?: string | undefined;
  /** Where what has arrived outlives the process; absent for what is small or compressed. */
  readonly stage?: UploadStage | undefined;
  /** Of memory for pieces that the store has not taken yet. */
  readonly budget: ByteBudget;
  /** Called once, when the store has taken the blob, or with why it has not. */
  readonly onOver: (error: IngotError | undefined) => void;
}

/** How the store's side of an upload ended. */
type Outcome = { readonly error: IngotError | undefined };

/**
 * One upload, which may arrive in several streams: one pending write of the store, fed by whichever stream is
 * attached. States: detached (no stream feeds it; it waits to be resumed), attached, finishing (all bytes are here),
 * over (the store has taken or refused the blob).
 */
export class WriteSession {
  readonly digest: Digest;
  readonly #source: PushSource;
  readonly #abort = linkedAbort();
  readonly #outcome = Promise.withResolvers<Outcome>();
  readonly #options: WriteSessionOptions;
  #started = false;
  #attachment: WriteAttachment | undefined;
  #committedBytes: number;
  #finishing = false;
  #over = false;

  constructor(options: WriteSessionOptions) {
    this.digest = options.digest;
    this.#options = options;
    this.#source = new PushSource(options.budget);
    this.#committedBytes = options.stage?.durableBytes ?? 0;
  }

  /** Bytes that have arrived and need not be sent again. */
  get committedBytes(): number {
    return this.#committedBytes;
  }

  /** Bytes that need not be sent again even if this process dies now, where the upload has a stage; waits for the disk. */
  async durableBytes(options: IoOptions): Promise<number> {
    const { stage } = this.#options;
    if (stage === undefined) return this.#committedBytes;
    await stage.durableTo(this.#committedBytes, options);
    return stage.durableBytes;
  }

  /** All bytes are here. */
  get isComplete(): boolean {
    return this.#finishing;
  }

  get isAttached(): boolean {
    return this.#attachment !== undefined;
  }

  /** All bytes are here, or the store needs no more. */
  get isFinishing(): boolean {
    return this.#finishing || this.#over;
  }

  /** The session feeds from this stream from now on; the one before, if any, is ABORTED. */
  attach(signal: AbortSignal, onDetached: () => void): WriteAttachment {
    this.#attachment?.displace();
    const attachment = new WriteAttachment(this, signal, () => {
      if (this.#attachment !== attachment) return;
      this.#attachment = undefined;
      if (!this.isFinishing) onDetached();
    });
    this.#attachment = attachment;
    return attachment;
  }

  /** Gives the upload up, for this reason. */
  abort(reason: IngotError): void {
    this.#abort.abort(reason);
    this.#source.fail(reason);
    if (!this.#started && !this.#over) this.#enterOver({ error: reason });
  }

  /** Appends a piece that begins at `offset`; RESOURCE_EXHAUSTED, and the piece is not counted, when memory is used up. */
  accept(offset: number, bytes: Uint8Array): void {
    assert(!this.#finishing, 'a piece after the last');
    if (this.#over) return;
    const committed = this.#committedBytes;
    if (offset !== committed) {
      const factory = offset > committed ? outOfRange : invalidArgument;
      throw factory(`Write ${this.digest}: offset ${offset} where ${committed} bytes have arrived`);
    }
    const { bytesMax } = this.#options.sink;
    if (committed + bytes.byteLength > bytesMax) {
      const error = invalidArgument(`Write ${this.digest}: more than ${bytesMax} bytes arrived`);
      this.abort(error);
      throw error;
    }
    this.#start();
    this.#source.push(bytes);
    this.#committedBytes += bytes.byteLength;
  }

  /** Waits until there is room for another piece, or no more is needed. */
  async drained(signal: AbortSignal): Promise<void> {
    await this.#source.drained({ signal });
  }

  /** Says that all pieces are here. */
  finish(): void {
    if (this.#over) return;
    this.#finishing = true;
    this.#source.end();
  }

  /** Resolves when the blob is stored; throws why it is not. */
  async stored(): Promise<void> {
    const { error } = await this.#outcome.promise;
    if (error !== undefined) throw error;
  }

  /** Nothing is asked of the store before a first piece is found to be in order. */
  #start(): void {
    if (this.#started || this.#over) return;
    this.#started = true;
    void this.#store();
  }

  async #store(): Promise<void> {
    let error: IngotError | undefined;
    try {
      const { sink, stage, invocationId } = this.#options;
      await sink.write(stage?.source(this.#source) ?? this.#source, {
        signal: this.#abort.signal,
        invocationId,
      });
    } catch (thrown) {
      error = toIngotError(thrown);
    }
    await this.#source.return();
    this.#enterOver({ error });
  }

  #enterOver(outcome: Outcome): void {
    this.#over = true;
    this.#abort[Symbol.dispose]();
    this.#options.onOver(outcome.error);
    this.#attachment?.wake();
    this.#outcome.resolve(outcome);
  }
}

/** A stream's hold on a session; dispose of it when the stream ends. */
export class WriteAttachment implements Disposable {
  readonly session: WriteSession;
  readonly #abort;
  readonly #onDetached: () => void;

  constructor(session: WriteSession, signal: AbortSignal, onDetached: () => void) {
    this.session = session;
    this.#abort = linkedAbort(signal);
    this.#onDetached = onDetached;
  }

  /** Aborts with the stream, when another one takes the session over, and when the store needs no more. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Appends a piece; one that comes when no more is needed is dropped. */
  accept(offset: number, bytes: Uint8Array): void {
    if (!this.signal.aborted) this.session.accept(offset, bytes);
    else if (!this.session.isFinishing) throw abortReason(this.signal);
  }

  /** The promise's value; undefined when the session is over before. Throws when displaced. */
  async next<T>(promise: Promise<T>): Promise<T | undefined> {
    try {
      return await untilAborted(promise, this.signal);
    } catch (error) {
      if (this.session.isFinishing && this.signal.aborted) return undefined;
      throw error;
    }
  }

  displace(): void {
    this.#abort.abort(aborted(`Write ${this.session.digest}: another stream has taken the upload over`));
  }

  wake(): void {
    this.#abort.abort(aborted(`Write ${this.session.digest}: no more is needed`));
  }

  [Symbol.dispose](): void {
    this.#abort[Symbol.dispose]();
    this.#onDetached();
  }
}
