import { type ByteBudget, ByteLoan } from '../../core/rpc/rpc-byte-budget.ts';
import { ACTION_RESULT_BYTES_MAX } from '../actions/level-action-cache.ts';
import type { HttpWrite } from './http-exchange.ts';

/**
 * The beginning of an upload in memory: as much as an action result could be. Small values are whole in it. What it
 * holds is borrowed of a budget until it is disposed of.
 */
export class BodyHead implements Disposable {
  readonly #pieces: AsyncIterator<Uint8Array, unknown>;
  readonly #loan: ByteLoan;
  readonly #chunks: Uint8Array[] = [];
  #isWhole = false;

  private constructor(pieces: AsyncIterator<Uint8Array, unknown>, loan: ByteLoan) {
    this.#pieces = pieces;
    this.#loan = loan;
  }

  /** Reads the beginning; RESOURCE_EXHAUSTED when all uploads together hold too much. */
  static async take({ body, contentBytes }: HttpWrite, budget: ByteBudget): Promise<BodyHead> {
    const head = new BodyHead(body[Symbol.asyncIterator](), new ByteLoan(budget));
    if (contentBytes !== undefined && contentBytes > ACTION_RESULT_BYTES_MAX) return head;
    try {
      await head.#fill();
      return head;
    } catch (error) {
      head[Symbol.dispose]();
      throw error;
    }
  }

  /** All bytes of the upload, when there are no more than these. */
  get whole(): Buffer | undefined {
    return this.#isWhole ? Buffer.concat(this.#chunks) : undefined;
  }

  /** The whole upload from its first byte; once. */
  async *source(): AsyncGenerator<Uint8Array, void, undefined> {
    yield* this.#chunks;
    yield* { [Symbol.asyncIterator]: () => this.#pieces } as AsyncIterable<Uint8Array>;
  }

  [Symbol.dispose](): void {
    this.#loan.close();
  }

  async #fill(): Promise<void> {
    let sizeBytes = 0;
    while (sizeBytes <= ACTION_RESULT_BYTES_MAX) {
      const piece = await this.#pieces.next();
      if (piece.done) {
        this.#isWhole = true;
        return;
      }
      this.#loan.take(piece.value.byteLength);
      sizeBytes += piece.value.byteLength;
      this.#chunks.push(piece.value);
    }
  }
}
