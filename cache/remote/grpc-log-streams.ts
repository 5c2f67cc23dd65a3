import { untilAborted } from '../../core/abort.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { ByteStreamDefinition } from '../../core/rpc/byte-stream-definition.ts';
import type { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import { defaultRetryPolicy, type RetryPolicy } from '../../core/rpc/rpc-retry-policy.ts';
import type { ServiceClient } from '../../core/rpc/rpc-service.ts';
import type { LogStreamStatus, ResumableLogStreams } from '../logs/resumable-log-streams.ts';
import { followRemote } from './follow-remote.ts';
import { uploadResumably } from './resumable-upload.ts';
import { startedStream } from './started-stream.ts';

/** What a {@link GrpcLogStreams} depends on. */
export interface GrpcLogStreamsDependencies {
  readonly channel: Pick<RpcChannel, 'client'>;
  readonly retry?: RetryPolicy;
  /** Numbers from 0 to 1, to spread retries. */
  readonly random?: () => number;
}

/** Log streams on the other side of a ByteStream connection. Writers and readers go on after UNAVAILABLE. */
export class GrpcLogStreams implements ResumableLogStreams {
  readonly #byteStream: ServiceClient<ByteStreamDefinition>;
  readonly #retry: RetryPolicy;
  readonly #random: () => number;

  constructor({ channel, retry, random }: GrpcLogStreamsDependencies) {
    this.#byteStream = channel.client(ByteStreamDefinition);
    this.#retry = retry ?? defaultRetryPolicy;
    this.#random = random ?? Math.random;
  }

  async write(name: string, source: AsyncIterable<Uint8Array>, { signal }: IoOptions = {}): Promise<void> {
    // Programs are quiet for hours: until there is something to send, no call is held open.
    const started = await untilAborted(startedStream(source), signal);
    const status = await this.status(name, { signal });
    await uploadResumably(started, {
      byteStream: this.#byteStream,
      resourceName: name,
      baseBytes: status?.sizeBytes ?? 0,
      retry: this.#retry,
      random: this.#random,
      signal,
    });
  }

  read(name: string, offset: number, { signal }: IoOptions = {}): AsyncIterable<Uint8Array> {
    return followRemote({
      byteStream: this.#byteStream,
      resourceName: name,
      offset,
      retry: this.#retry,
      random: this.#random,
      signal,
    });
  }

  async status(name: string, { signal }: IoOptions = {}): Promise<LogStreamStatus | undefined> {
    const { committedSize, complete } = await this.#byteStream.queryWriteStatus(
      { resourceName: name },
      { signal },
    );
    return committedSize === 0 && !complete ? undefined : { sizeBytes: committedSize, ended: complete };
  }
}
