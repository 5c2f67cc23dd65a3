import { delay, linkedAbort } from '../../core/abort.ts';
import { abortableSource } from '../../core/abortable-source.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { type RetryPolicy, retryDelayMs } from '../../core/rpc/rpc-retry-policy.ts';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import type { ByteStreamDefinition, WriteRequest } from '../../proto/gen/google/bytestream/bytestream.ts';
import { ReplayWindow } from './replay-window.ts';
import { isRestartable } from './restartable-source.ts';

/** Largest piece of one message: well below the 4 MiB a server takes, and few enough messages for large blobs. */
const MESSAGE_DATA_BYTES = 256 * 1024;
const NO_BYTES = Buffer.alloc(0);

/** What {@link uploadResumably} needs besides the bytes. */
export interface ResumableUploadOptions extends IoOptions {
  readonly byteStream: ServiceClient<ByteStreamDefinition>;
  readonly resourceName: string;
  /** Where the first byte of the source belongs; above 0 when the resource was begun before. */
  readonly baseBytes?: number;
  readonly retry: RetryPolicy;
  readonly random: () => number;
}

/**
 * Writes a stream to a ByteStream resource and returns how much the server says it has. After UNAVAILABLE it asks
 * how far the upload is and goes on from there, if the source can: a RestartableSource from anywhere, others within
 * the last few MiB. Attempts are counted anew whenever the server has got further.
 */
export async function uploadResumably(
  source: AsyncIterable<Uint8Array>,
  options: ResumableUploadOptions,
): Promise<number> {
  const { byteStream, resourceName, baseBytes = 0, signal, retry, random } = options;
  const window = isRestartable(source) ? undefined : new ReplayWindow(source);
  let offset = baseBytes;
  try {
    for (let attempt = 1; ; attempt += 1) {
      using sending = new Sending(options, offset);
      try {
        const from = offset - baseBytes;
        const bytes = isRestartable(source) ? source.restart(from) : window?.restart(from, sending.signal);
        return await sending.send(bytes ?? source);
      } catch (error) {
        const delayMs = retryDelayMs(retry, attempt, { error, random });
        if (sending.sourceFailed || delayMs === undefined) throw error;
        await delay(delayMs, { signal });
        const { committedSize, complete } = await byteStream.queryWriteStatus({ resourceName }, { signal });
        if (complete) return committedSize;
        if (committedSize < baseBytes || window?.reaches(committedSize - baseBytes) === false) throw error;
        if (committedSize > offset) attempt = 0;
        offset = committedSize;
      }
    }
  } finally {
    window?.leave();
  }
}

/** One attempt: a stream of messages that begins at an offset. Dispose of it when it is over. */
class Sending implements Disposable {
  readonly #options: ResumableUploadOptions;
  readonly #abort;
  readonly #offset: number;
  sourceFailed = false;

  constructor(options: ResumableUploadOptions, offset: number) {
    this.#options = options;
    this.#offset = offset;
    this.#abort = linkedAbort(options.signal);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  async send(bytes: AsyncIterable<Uint8Array>): Promise<number> {
    const { byteStream } = this.#options;
    const { committedSize } = await byteStream.write(this.#messages(bytes), { signal: this.signal });
    return committedSize;
  }

  [Symbol.dispose](): void {
    this.#abort[Symbol.dispose]();
  }

  async *#messages(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<WriteRequest, void, undefined> {
    let { resourceName } = this.#options;
    let writeOffset = this.#offset;
    try {
      for await (const chunk of abortableSource(bytes, this.signal)) {
        for (let start = 0; start < chunk.byteLength; start += MESSAGE_DATA_BYTES) {
          const data = asBuffer(chunk.subarray(start, start + MESSAGE_DATA_BYTES));
          yield { resourceName, writeOffset, data, finishWrite: false };
          writeOffset += data.byteLength;
          // Needed in the first message only.
          resourceName = '';
        }
      }
    } catch (error) {
      this.sourceFailed = !this.signal.aborted;
      throw error;
    }
    yield { resourceName, writeOffset, data: NO_BYTES, finishWrite: true };
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
