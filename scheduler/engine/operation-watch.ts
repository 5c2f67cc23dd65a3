import { untilAborted } from '../../core/abort.ts';
import type { IngotError } from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { ExecutionStage_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { OperationView } from '../state/operation-view.ts';

/**
 * One client's wait for an operation. A slow reader gets the newest view, not all of them. Close it, or the operation is
 * kept for nobody.
 */
export class OperationWatch implements Disposable {
  #view: OperationView;
  #unread = true;
  #error: IngotError | undefined;
  #changed = Promise.withResolvers<void>();
  readonly #onClose: (watch: OperationWatch) => void;
  #closed = false;

  constructor(view: OperationView, onClose: (watch: OperationWatch) => void) {
    this.#view = view;
    this.#onClose = onClose;
  }

  /** As it was last told. */
  get view(): OperationView {
    return this.#view;
  }

  /** A newer view; for the one who keeps the watches. */
  push(view: OperationView): void {
    this.#view = view;
    this.#unread = true;
    this.#wake();
  }

  /** There will be no more views: the reader gets this error. */
  fail(error: IngotError): void {
    this.#error ??= error;
    this.#wake();
  }

  /** The view now, then one for every change, up to the one that is completed. */
  async *views({ signal }: IoOptions = {}): AsyncGenerator<OperationView, void, undefined> {
    for (;;) {
      while (!this.#unread) {
        if (this.#error !== undefined) throw this.#error;
        await untilAborted(this.#changed.promise, signal);
      }
      this.#unread = false;
      const view = this.#view;
      yield view;
      if (view.stage === ExecutionStage_Value.COMPLETED) return;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
