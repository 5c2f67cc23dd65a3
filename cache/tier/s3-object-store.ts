import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { abortReason, linkedAbort } from '../../core/abort.ts';
import {
  aborted,
  cancelled,
  failedPrecondition,
  type IngotError,
  isIngotError,
  unavailable,
} from '../../core/error.ts';
import type { IoOptions } from '../../core/io-options.ts';
import { startTimer } from '../../core/timer.ts';
import { IdleWatch, idleLimited } from './idle-limited.ts';
import type {
  ObjectBody,
  ObjectFacts,
  ObjectReadOptions,
  ObjectSource,
  ObjectStore,
} from './object-store.ts';

/** Connections at once, above all that the tier does at once; more requests would wait for one in silence. */
const SOCKETS_MAX = 256;
/** An open connection takes one round trip; a host that does not take it in this time is away. */
const CONNECT_MS = 3_000;
/** Tries of a request without a body, for connections that the other side closed just as we used them. */
const ATTEMPTS_MAX = 2;
/** Larger objects go in parts of this size: one that breaks off costs no more. Each is streamed. */
const PART_BYTES = 64 * 1024 * 1024;
/** S3 takes no more parts in one object; beyond 640 GB they grow. */
const PARTS_MAX = 10_000;
/**
 * A write may stand still for this many times longer than a read: what we sent last may be a few MiB in buffers on the
 * way, of which we see nothing, and the object store makes them durable before it answers.
 */
const WRITE_STALL_FACTOR = 6;
/** Putting the parts together is one call, in which some object stores copy every byte. */
const COMPLETE_MS = 10 * 60_000;

/** What an {@link S3ObjectStore} is made of. */
export interface S3ObjectStoreOptions {
  readonly bucket: string;
  /** `http://…` or `https://…`; undefined means AWS's own for the region. */
  readonly endpoint: string | undefined;
  /** Undefined means what the AWS environment and files say. */
  readonly region: string | undefined;
  /** The bucket is in the path and not in the host name. */
  readonly pathStyle: boolean;
  /** How long it may take to begin an answer, and how long a read may stand still. */
  readonly timeoutMs: number;
}

/**
 * An S3-compatible object store; the only file that knows the SDK. Credentials come from where AWS programs look for
 * them (environment, files, instance roles) and are never logged. Large objects are put in parts.
 */
export class S3ObjectStore implements ObjectStore, AsyncDisposable {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #timeoutMs: number;

  constructor({ bucket, endpoint, region, pathStyle, timeoutMs }: S3ObjectStoreOptions) {
    const silent = { debug: noLog, info: noLog, warn: noLog, error: noLog };
    this.#client = new S3Client({
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(region === undefined ? {} : { region }),
      forcePathStyle: pathStyle,
      maxAttempts: ATTEMPTS_MAX,
      // Blobs have checksums of their own; the SDK's would wrap each body in chunks that not every gateway reads.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: CONNECT_MS,
        httpAgent: { maxSockets: SOCKETS_MAX },
        httpsAgent: { maxSockets: SOCKETS_MAX },
      },
      // It would print to the console; what went wrong is thrown all the same.
      logger: silent,
    });
    this.#bucket = bucket;
    this.#timeoutMs = timeoutMs;
  }

  async head(key: string, { signal }: IoOptions = {}): Promise<ObjectFacts | undefined> {
    return await this.#call('Look for an object', signal, async (abortSignal) => {
      const command = new HeadObjectCommand({ Bucket: this.#bucket, Key: key });
      const { ContentLength = 0, ETag = '' } = await this.#client.send(command, { abortSignal });
      return { sizeBytes: ContentLength, etag: ETag };
    });
  }

  async get(
    key: string,
    { offset = 0, etag, signal }: ObjectReadOptions = {},
  ): Promise<ObjectBody | undefined> {
    const attempt = 'Read an object';
    const command = new GetObjectCommand({
      Bucket: this.#bucket,
      Key: key,
      ...(offset === 0 ? {} : { Range: `bytes=${offset}-` }),
      ...(etag === undefined ? {} : { IfMatch: etag }),
    });
    // The answer's body hangs on the signal the request was sent with, so that one lives until the body is closed.
    const abort = linkedAbort(signal);
    let body: Readable | undefined;
    const stopTimer = startTimer(this.#timeoutMs, () => abort.abort(this.#noAnswer(attempt)));
    try {
      const answer = await this.#client.send(command, { abortSignal: abort.signal });
      body = answer.Body as unknown as Readable;
      body.once('close', () => abort[Symbol.dispose]());
      const bytes = this.#bytesOf(body, attempt, signal);
      const close = (): void => void body?.destroy();
      return { sizeBytes: offset + (answer.ContentLength ?? 0), etag: answer.ETag ?? '', bytes, close };
    } catch (error) {
      if (abort.signal.aborted) throw abortReason(abort.signal);
      if (isAbsence(error)) return undefined;
      throw failure(error, attempt);
    } finally {
      stopTimer();
      if (body === undefined) abort[Symbol.dispose]();
    }
  }

  async put(key: string, source: ObjectSource, { signal }: IoOptions = {}): Promise<void> {
    if (source.sizeBytes > PART_BYTES) return this.#putParts(key, source, signal);
    const { sizeBytes: ContentLength, sha256 } = source;
    await this.#send('Write an object', source.read(undefined), signal, async (Body, abortSignal) => {
      const checksum =
        sha256 === undefined ? {} : { ChecksumSHA256: Buffer.from(sha256, 'hex').toString('base64') };
      const input = { Bucket: this.#bucket, Key: key, Body, ContentLength, ...checksum };
      await this.#client.send(new PutObjectCommand(input), { abortSignal });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.destroy();
  }

  async #putParts(key: string, source: ObjectSource, signal: AbortSignal | undefined): Promise<void> {
    const target = { Bucket: this.#bucket, Key: key };
    const attempt = 'Write an object in parts';
    const started = await this.#call(attempt, signal, (abortSignal) =>
      this.#client.send(new CreateMultipartUploadCommand(target), { abortSignal }),
    );
    const UploadId = started?.UploadId;
    if (UploadId === undefined) throw unavailable(`${attempt}: the object store began none`);
    try {
      const Parts = await this.#sendParts({ ...target, UploadId }, source, signal);
      const command = new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } });
      await this.#call(
        attempt,
        signal,
        (abortSignal) => this.#client.send(command, { abortSignal }),
        COMPLETE_MS,
      );
    } catch (error) {
      const command = new AbortMultipartUploadCommand({ ...target, UploadId });
      await this.#call(attempt, undefined, (abortSignal) =>
        this.#client.send(command, { abortSignal }),
      ).catch(() => {
        // The parts stay until the bucket's own rule for unfinished uploads takes them; the first error tells more.
      });
      throw error;
    }
  }

  /** One after another: several objects are under way at once as it is. */
  async #sendParts(
    target: { readonly Bucket: string; readonly Key: string; readonly UploadId: string },
    source: ObjectSource,
    signal: AbortSignal | undefined,
  ): Promise<{ ETag: string | undefined; PartNumber: number }[]> {
    const partBytes = Math.max(PART_BYTES, Math.ceil(source.sizeBytes / PARTS_MAX));
    const parts: { ETag: string | undefined; PartNumber: number }[] = [];
    for (let offset = 0; offset < source.sizeBytes; offset += partBytes) {
      const limit = Math.min(partBytes, source.sizeBytes - offset);
      const PartNumber = parts.length + 1;
      const bytes = source.read({ offset, limit });
      await this.#send(`Write part ${PartNumber} of an object`, bytes, signal, async (Body, abortSignal) => {
        const input = { ...target, PartNumber, Body, ContentLength: limit };
        const { ETag } = await this.#client.send(new UploadPartCommand(input), { abortSignal });
        parts.push({ ETag, PartNumber });
      });
    }
    return parts;
  }

  /** A call with a body, which may take as long as bytes move. What the source throws is thrown. */
  async #send(
    attempt: string,
    source: AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
    send: (body: Readable, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    using abort = linkedAbort(signal);
    const stallMs = this.#timeoutMs * WRITE_STALL_FACTOR;
    using watch = new IdleWatch(stallMs, () =>
      abort.abort(unavailable(`${attempt}: it stood still for ${stallMs} ms`)),
    );
    let broken: { readonly error: unknown } | undefined;
    async function* watched(): AsyncGenerator<Uint8Array> {
      try {
        for await (const chunk of source) {
          watch.moved();
          yield chunk;
          watch.moved();
        }
      } catch (error) {
        broken = { error };
        abort.abort(cancelled(`${attempt}: its source failed`, { cause: error }));
        throw error;
      }
    }
    const body = Readable.from(watched(), { objectMode: false });
    // What fails is thrown below; an error event that nobody listens to would end the process.
    body.on('error', () => undefined);
    try {
      await send(body, abort.signal);
    } catch (error) {
      if (broken !== undefined) throw broken.error;
      if (abort.signal.aborted) throw abortReason(abort.signal);
      throw failure(error, attempt);
    } finally {
      body.destroy();
    }
  }

  #noAnswer(attempt: string, timeoutMs = this.#timeoutMs): IngotError {
    return unavailable(`${attempt}: no answer within ${timeoutMs} ms`);
  }

  #bytesOf(body: Readable, attempt: string, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
    return idleLimited(bytesOfBody(body, attempt, signal), {
      idleMs: this.#timeoutMs,
      error: () => unavailable(`${attempt}: no byte came for ${this.#timeoutMs} ms`),
      onIdle: () => body.destroy(),
    });
  }

  /** A call whose answer must begin in time; undefined for what is not there. */
  async #call<T>(
    attempt: string,
    signal: AbortSignal | undefined,
    call: (signal: AbortSignal) => Promise<T>,
    timeoutMs = this.#timeoutMs,
  ): Promise<T | undefined> {
    using abort = linkedAbort(signal, { timeoutMs, timeoutError: this.#noAnswer(attempt, timeoutMs) });
    try {
      return await call(abort.signal);
    } catch (error) {
      if (abort.signal.aborted) throw abortReason(abort.signal);
      if (isAbsence(error)) return undefined;
      throw failure(error, attempt);
    }
  }
}

async function* bytesOfBody(
  body: Readable,
  attempt: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const chunk of body) yield chunk as Uint8Array;
  } catch (error) {
    if (signal?.aborted) throw abortReason(signal);
    throw failure(error, attempt);
  }
}

function noLog(): void {}

/** A bucket that is not there is no absence of an object; of a HEAD that cannot be told, so `get` is asked at start. */
function isAbsence(error: unknown): boolean {
  return error instanceof S3ServiceException && (error.name === 'NoSuchKey' || error.name === 'NotFound');
}

function failure(error: unknown, attempt: string): IngotError {
  if (isIngotError(error)) return error;
  const name = error instanceof Error ? error.name : 'unknown error';
  const status = error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
  const options = { cause: error };
  if (status === 412) return aborted(`${attempt}: it was replaced meanwhile`, options);
  const isRefusal =
    status === 401 || status === 403 || name === 'NoSuchBucket' || name === 'CredentialsProviderError';
  if (isRefusal || (error instanceof Error && error.message === 'Region is missing')) {
    const why = status === undefined ? name : `${name}, HTTP ${status}`;
    return failedPrecondition(`${attempt}: the object store refuses us (${why})`, options);
  }
  if (status !== undefined) {
    return unavailable(`${attempt}: the object store answered ${name}, HTTP ${status}`, options);
  }
  return unavailable(`${attempt}: the object store cannot be reached`, options);
}
