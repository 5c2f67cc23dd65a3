import { ExecutionStage_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { ActionEvents } from '../client/action-runner.ts';
import type { OperationUpdate } from '../client/execution-client.ts';
import type { ConsolePrinter } from '../output/console-printer.ts';
import { formatBytes } from '../output/format-bytes.ts';
import { formatDuration } from '../output/format-duration.ts';
import type { Progress } from '../output/printer.ts';

const TICK_MS = 100;
/** A smaller upload is over before anyone could read of it. */
const UPLOAD_SHOWN_BYTES = 1024 * 1024;

const STAGE_NAMES: ReadonlyMap<number, string> = new Map<number, string>([
  [ExecutionStage_Value.CACHE_CHECK, 'looking into the cache'],
  [ExecutionStage_Value.QUEUED, 'queued'],
  [ExecutionStage_Value.EXECUTING, 'executing'],
]);

/** Shows where one action stands: a line that is redrawn on a terminal, one line a change elsewhere. */
export class RunDisplay implements ActionEvents, Disposable {
  readonly #printer: ConsolePrinter;
  readonly #startedMs = performance.now();
  #stage = 'preparing';
  #isAway = false;
  #upload: Progress | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(printer: ConsolePrinter) {
    this.#printer = printer;
    this.#timer = setInterval(() => this.#redraw(), TICK_MS);
  }

  onUploadProgress = (uploadedBytes: number, totalBytes: number): void => {
    if (totalBytes < UPLOAD_SHOWN_BYTES) return;
    this.#upload ??= this.#printer.progress('upload', totalBytes);
    this.#upload.update(uploadedBytes, `${formatBytes(uploadedBytes)} of ${formatBytes(totalBytes)}`);
  };

  onUploaded = ({ uploadedCount, uploadedBytes }: { uploadedCount: number; uploadedBytes: number }): void => {
    const text = `${uploadedCount} blobs, ${formatBytes(uploadedBytes)}`;
    if (this.#upload === undefined) this.#printer.detail(`upload: ${text}`);
    else this.#upload.done(text);
    this.#upload = undefined;
    this.#enter('waiting for the farm');
  };

  onUpdate = ({ name, metadata }: OperationUpdate): void => {
    if (this.#isAway) this.#printer.note('the farm is back');
    this.#isAway = false;
    const stage = STAGE_NAMES.get(metadata?.stage ?? 0);
    if (stage === undefined) return;
    const executing = metadata?.stage === ExecutionStage_Value.EXECUTING;
    const worker = executing ? metadata.partialExecutionMetadata?.worker : undefined;
    this.#enter(worker ? `${stage} on ${worker}` : stage, name);
  };

  onReconnect = (why: string): void => {
    if (!this.#isAway) this.#printer.warn(`${why}; trying again`);
    else this.#printer.detail(why);
    this.#isAway = true;
  };

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#printer.liveEnd();
  }

  #enter(stage: string, operationName?: string): void {
    if (stage === this.#stage) return;
    this.#stage = stage;
    if (this.#printer.isTerminal) this.#redraw();
    else if (operationName !== undefined) this.#printer.note(stage);
    if (operationName !== undefined) this.#printer.detail(`operation ${operationName}: ${stage}`);
  }

  #redraw(): void {
    if (this.#upload !== undefined) return;
    this.#printer.live([`${this.#stage}  ${formatDuration(performance.now() - this.#startedMs)}`]);
  }
}
