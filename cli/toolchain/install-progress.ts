import { formatBytes } from '../output/format-bytes.ts';
import type { Printer, Progress } from '../output/printer.ts';
import type { InstallEvent } from './install-event.ts';

/** Shows an installation's events, one line of progress a step. Close it with `done` or `fail`. */
export class InstallProgress {
  readonly #printer: Printer;
  readonly #title: string;
  #step: InstallEvent['step'] | undefined;
  #progress: Progress | undefined;

  /** `title` as in `CUDA 13.5`. */
  constructor(printer: Printer, title: string) {
    this.#printer = printer;
    this.#title = title;
  }

  /** For `onEvent`. */
  readonly show = (event: InstallEvent): void => {
    if (event.step !== this.#step) {
      this.#progress?.done();
      this.#step = event.step;
      this.#progress = this.#printer.progress(this.#label(event), totalOf(event));
    }
    if (event.step !== 'download') return;
    const { doneBytes, totalBytes } = event;
    const total = totalBytes === undefined ? '' : ` of ${formatBytes(totalBytes)}`;
    this.#progress?.update(doneBytes, `${formatBytes(doneBytes)}${total}`);
  };

  done(): void {
    this.#progress?.done();
    this.#progress = undefined;
  }

  fail(reason: string): void {
    this.#progress?.fail(reason);
    this.#progress = undefined;
  }

  #label(event: InstallEvent): string {
    switch (event.step) {
      case 'download':
        return `download ${this.#title}`;
      case 'unpack':
        return `unpack ${event.wheels} wheels, ${formatBytes(event.bytes)}`;
      case 'try':
        return 'compile and link with it';
      case 'identify':
        return 'hash its files';
    }
  }
}

function totalOf(event: InstallEvent): number | undefined {
  return event.step === 'download' ? event.totalBytes : undefined;
}
