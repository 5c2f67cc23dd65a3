import { type ChannelInterface, status as grpcStatus, type Metadata, type StatusObject } from '@grpc/grpc-js';
import { abortReason } from '../abort.ts';
import { cancelled, deadlineExceeded, type IngotError, unavailable } from '../error.ts';
import { errorFromStatus, STATUS_DETAILS_TRAILER } from './rpc-status.ts';

/** What a {@link ClientCall} is made of. */
export interface ClientCallOptions {
  readonly channel: ChannelInterface;
  /** HOST:PORT, for messages. */
  readonly address: string;
  /** `/package.Service/Method` */
  readonly path: string;
  readonly metadata: Metadata;
  /** How long the call may take; undefined is for ever. */
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  /** Called once. */
  readonly onOver: (call: ClientCall) => void;
}

/**
 * One attempt at a call, as bytes. Each `send` is awaited and one message is read ahead, so that neither side fills
 * memory. States: open, then over (a status came, or it was cancelled); whoever starts one ends it with `cancel`.
 */
export class ClientCall {
  readonly #options: ClientCallOptions;
  readonly #call: ReturnType<ChannelInterface['createCall']>;
  readonly #messages: Uint8Array[] = [];
  #status: StatusObject | undefined;
  #cancelReason: IngotError | undefined;
  #waiter: PromiseWithResolvers<void> | undefined;
  #sending: PromiseWithResolvers<void> | undefined;

  /** Starts the call. Throws the signal's reason when that is aborted already. */
  constructor(options: ClientCallOptions) {
    const { channel, path, metadata, timeoutMs, signal } = options;
    this.#options = options;
    if (signal?.aborted) throw abortReason(signal);
    const deadline = timeoutMs === undefined ? Number.POSITIVE_INFINITY : Date.now() + timeoutMs;
    this.#call = channel.createCall(path, deadline, undefined, null, undefined);
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#call.start(metadata, {
      onReceiveMetadata: () => undefined,
      onReceiveMessage: (message: Buffer) => {
        this.#messages.push(message);
        this.#wake();
      },
      onReceiveStatus: (status) => this.#onStatus(status),
    });
    this.#call.startRead();
  }

  /** No more can be sent or will come, besides messages already here. */
  get isOver(): boolean {
    return this.#status !== undefined || this.#cancelReason !== undefined;
  }

  /** Sends a message; resolves when there is room for the next one, or the call is over. */
  async send(message: Uint8Array): Promise<void> {
    if (this.isOver) return;
    const sending = Promise.withResolvers<void>();
    this.#sending = sending;
    const buffer = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
    this.#call.sendMessageWithContext({ callback: () => sending.resolve() }, buffer);
    await sending.promise;
  }

  /** Says that all is sent. */
  halfClose(): void {
    if (!this.isOver) this.#call.halfClose();
  }

  /** The next message, or undefined after the last. Throws the call's error. */
  async receive(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#cancelReason !== undefined) throw this.#cancelReason;
      const message = this.#messages.shift();
      if (message !== undefined) {
        if (this.#status === undefined) this.#call.startRead();
        return message;
      }
      if (this.#status !== undefined) {
        if (this.#status.code === grpcStatus.OK) return undefined;
        throw this.#error(this.#status);
      }
      this.#waiter = Promise.withResolvers();
      await this.#waiter.promise;
    }
  }

  /** Ends the call, if it is not over yet; `receive` throws the reason from then on. */
  cancel(reason: IngotError): void {
    if (this.isOver) return;
    this.#cancelReason = reason;
    this.#release();
    this.#call.cancelWithStatus(grpcStatus.CANCELLED, reason.message);
  }

  #onAbort = (): void => {
    const { signal } = this.#options;
    this.cancel(signal === undefined ? cancelled(`${this.#what}: it was cancelled`) : abortReason(signal));
  };

  #onStatus(status: StatusObject): void {
    if (this.isOver) return;
    this.#status = status;
    this.#release();
  }

  #release(): void {
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#sending?.resolve();
    this.#wake();
    this.#options.onOver(this);
  }

  #wake(): void {
    this.#waiter?.resolve();
    this.#waiter = undefined;
  }

  #error({ code, details, metadata }: StatusObject): IngotError {
    const [detailsBin] = metadata.get(STATUS_DETAILS_TRAILER);
    const error = errorFromStatus(code, details, detailsBin instanceof Uint8Array ? detailsBin : undefined);
    // What grpc-js found out by itself carries no metadata, and does not name the address.
    if (Object.keys(metadata.getMap()).length > 0) return error;
    if (code === grpcStatus.UNAVAILABLE) return unavailable(`${this.#what}: ${tidy(details)}`);
    if (code === grpcStatus.DEADLINE_EXCEEDED && details.startsWith('Deadline exceeded after')) {
      return deadlineExceeded(
        `${this.#what}: not finished within ${Math.round(this.#options.timeoutMs ?? 0)} ms`,
      );
    }
    return error;
  }

  get #what(): string {
    return `Call ${this.#options.path} at ${this.#options.address}`;
  }
}

/** The part of a grpc-js message that says what was seen. */
function tidy(details: string): string {
  return details
    .replace(/^No connection established\. Last error: (Error: )?/, '')
    .replace(/\.? ?Resolution note: .*$/, '')
    .trim();
}
