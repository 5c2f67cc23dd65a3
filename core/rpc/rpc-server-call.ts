import { Code } from '../../proto/gen/google/rpc/code.ts';
import { auditRefusal } from '../auth/audit.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { renewCaller } from '../auth/caller-renewal.ts';
import { requireAllRights, requireRight } from '../auth/require-right.ts';
import { type Caller, nobody } from '../caller.ts';
import {
  cancelled,
  deadlineExceeded,
  type IngotError,
  invalidArgument,
  toIngotError,
  unimplemented,
} from '../error.ts';
import type { Http2Connection } from '../http2/http2-connection.ts';
import type { Http2Stream, StreamListener } from '../http2/http2-stream.ts';
import { ErrorCode } from '../http2/protocol.ts';
import type { Logger } from '../log/logger.ts';
import { OneResponse, type SentResponses } from './one-response.ts';
import { type ByteBudget, ByteLoan } from './rpc-byte-budget.ts';
import { ServerCallContext } from './rpc-call-context.ts';
import type { DeadlineListener, Deadlines } from './rpc-deadlines.ts';
import { decodeStrictly } from './rpc-decode.ts';
import type { RawMessage } from './rpc-deframer.ts';
import type { Frame, MessageFramer } from './rpc-frame.ts';
import { type Inflate, refuseCompressed, selectInflate } from './rpc-inflate.ts';
import type { RpcServerLimits } from './rpc-limits.ts';
import type { RpcMethodStats } from './rpc-method-stats.ts';
import { RequestReader, type RequestSink } from './rpc-request-reader.ts';
import { RequestStream } from './rpc-request-stream.ts';
import { ResponseWriter } from './rpc-response-writer.ts';
import type { RpcMethod } from './rpc-router.ts';
import { parseTimeoutMs } from './rpc-timeout.ts';

/** Codes of errors that someone here must look into; their causes are logged, since no client sees them. */
const OUR_FAULT: ReadonlySet<Code> = new Set([Code.INTERNAL, Code.UNKNOWN, Code.DATA_LOSS]);

/** For requests that come when no one reads them any more. One for all calls, since an error's stack is not cheap. */
const CALL_IS_ANSWERED = cancelled('the call is answered');

/** A method whose last answer had a piece this large waits for room before it begins the next answer. */
const LARGE_ANSWER_BYTES = 16 * 1024;

/** What a {@link ServerCall} is made of. */
export interface ServerCallOptions {
  readonly stream: Http2Stream;
  readonly method: RpcMethod;
  /** A promise where the credential must be looked at first; the handler waits for it. */
  readonly caller: Caller | Promise<Caller>;
  readonly connection: Http2Connection;
  readonly limits: RpcServerLimits;
  readonly budget: ByteBudget;
  readonly framer: MessageFramer;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  /** Called once, when the call is answered and its handler has come to an end. */
  readonly onOver: (call: ServerCall) => void;
}

/**
 * One call being served. States: receiving (a unary request is not whole yet), running (the handler has it), ended
 * (a status is sent, or the client is gone). What a handler returns or throws after that has no effect.
 */
export class ServerCall implements RequestSink, StreamListener, DeadlineListener {
  readonly #options: ServerCallOptions;
  readonly #loan: ByteLoan;
  readonly #writer: ResponseWriter;
  readonly #context: ServerCallContext;
  readonly #reader: RequestReader;
  readonly #requests: RequestStream<unknown> | undefined;
  readonly #timeoutMs: number | undefined;
  readonly #inflateBytes: Inflate = refuseCompressed;
  readonly #stats: RpcMethodStats;
  readonly #startMs: number;
  #unaryRequest: RawMessage | undefined;
  #running = false;
  #ended = false;

  /** Throws INVALID_ARGUMENT when the headers are no gRPC call's; nothing has begun then. */
  constructor(options: ServerCallOptions) {
    const { stream, limits, method, connection } = options;
    const { headers } = stream;
    this.#options = options;
    if (headers.encoding !== undefined) {
      this.#inflateBytes = selectInflate(headers.encoding, limits.messageBytesMax);
    }
    this.#timeoutMs = headers.timeout === undefined ? undefined : parseTimeoutMs(headers.timeout);
    this.#stats = method.stats;
    this.#startMs = performance.now();
    const deadlineMs = this.#timeoutMs === undefined ? undefined : this.#startMs + this.#timeoutMs;
    this.#context = new ServerCallContext({ headers, deadlineMs, peer: connection.peer });
    this.#loan = new ByteLoan(options.budget);
    this.#writer = new ResponseWriter(stream);
    if (method.definition.requestStream) this.#requests = this.#requestStream();
    this.#reader = new RequestReader(
      { messageBytesMax: limits.messageBytesMax, loan: this.#loan },
      this.#requests ?? this,
    );
    const { caller } = options;
    // The call may be over before its caller is known, and then nobody else hears of a refusal.
    if (caller instanceof Promise) caller.catch(() => undefined);
    else this.#context.caller = caller;
    stream.listener = this;
    if (deadlineMs !== undefined) options.deadlines.add(deadlineMs, this);
    this.#stats.running += 1;
  }

  /** Lets a handler with a request stream begin; a unary one begins with its request. */
  start(): void {
    if (this.#requests !== undefined) void this.#run(this.#requests);
  }

  /** Ends the call with this error, whatever its handler does. */
  abort(reason: IngotError): void {
    if (this.#ended) return;
    this.#enterEnded(reason);
    this.#writer.end(reason, { reset: !this.#reader.ended });
  }

  onData(bytes: Buffer, start: number, end: number): void {
    this.#stats.receivedBytes += end - start;
    this.#reader.onData(bytes, start, end);
  }

  onEnd(): void {
    this.#reader.onEnd();
  }

  onGone(): void {
    if (this.#ended) return;
    this.#enterEnded(cancelled(`Call ${this.#path}: ${howClientLeft(this.#options.stream)}`));
  }

  onDeadline(): void {
    this.abort(
      deadlineExceeded(
        `Call ${this.#path}: not finished within the ${this.#timeoutMs} ms the client gave it`,
      ),
    );
  }

  /** Ends the call when its caller's credential is good no more. */
  renewCaller(authenticator: Authenticator): void {
    const { method, stream, connection } = this.#options;
    const { caller } = this.#context;
    if (method.rights === 'public' || caller === nobody) return;
    renewCaller(authenticator, {
      authorization: stream.headers.authorization,
      certificate: connection.certificate,
      caller,
      end: (reason) => {
        if (!this.#ended) this.#audit(reason, undefined);
        this.abort(reason);
      },
    });
  }

  /** Takes the request of a unary call from its reader, as do the three below. */
  message(message: RawMessage): void {
    if (this.#unaryRequest === undefined) this.#unaryRequest = message;
    else this.abort(unimplemented(`Call ${this.#path}: the request has several messages, expected one`));
  }

  partial(): void {
    // It is waited for, whatever its size.
  }

  end(): void {
    const message = this.#unaryRequest;
    if (message !== undefined) void this.#run(message);
    else this.abort(unimplemented(`Call ${this.#path}: the request has no message, expected one`));
  }

  fail(error: IngotError): void {
    this.abort(error);
  }

  #requestStream(): RequestStream<unknown> {
    return new RequestStream({
      stream: this.#options.stream,
      loan: this.#loan,
      limits: this.#options.limits,
      decode: (message) => (message.compressed ? this.#inflate(message.bytes) : this.#decode(message.bytes)),
      onMalformed: (error) => this.abort(error),
    });
  }

  async #run(input: RawMessage | RequestStream<unknown>): Promise<void> {
    const { handler, definition } = this.#options.method;
    this.#running = true;
    let request: unknown;
    try {
      const { caller } = this.#options;
      if (caller instanceof Promise) this.#context.caller = await caller;
      request = input instanceof RequestStream ? input : await this.#unaryInput(input);
      if (this.#ended) return;
      this.#authorise();
      if (definition.responseStream) await this.#turnToBegin();
      if (this.#ended) return;
      const outcome = await handler(request, this.#context);
      if (!definition.responseStream) this.#respond(outcome);
      else if (outcome instanceof OneResponse) this.#respond(outcome.message, outcome.onSent);
      else await this.#respondAll(outcome as AsyncIterable<unknown>);
    } catch (error) {
      this.#onHandlerError(error, request);
    } finally {
      this.#running = false;
      if (this.#ended) this.#loan.close();
      this.#options.onOver(this);
    }
  }

  /** What may be called; whose instance it is, and what of it, the stores and services look at. */
  #authorise(): void {
    const { rights } = this.#options.method;
    if (rights === 'public') return;
    if (rights === undefined) requireAllRights(this.#context.caller, `Call ${this.#path}`);
    else requireRight(this.#context.caller, rights, `Call ${this.#path}`);
  }

  async #unaryInput({ compressed, bytes }: RawMessage): Promise<unknown> {
    this.#unaryRequest = undefined;
    if (!compressed) return this.#decode(bytes);
    const inflated = await this.#inflateBytes(bytes);
    this.#loan.take(inflated.length);
    return this.#decode(inflated);
  }

  #respond(response: unknown, onSent?: () => void): void {
    if (this.#ended) return;
    const frame = this.#frame(response);
    this.#enterEnded(undefined);
    this.#writer.endWith(frame, { reset: !this.#reader.ended, onSent });
  }

  async #respondAll(responses: AsyncIterable<unknown>): Promise<void> {
    const iterator = responses[Symbol.asyncIterator]();
    for (;;) {
      if (this.#ended) return void (await iterator.return?.());
      if (!(await this.#respondNext(iterator))) break;
      const turn = this.#writer.turn(this.#options.method.answerBytes);
      if (turn !== undefined) await turn;
    }
    if (this.#ended) return;
    this.#enterEnded(undefined);
    this.#writer.end(undefined, { reset: !this.#reader.ended });
  }

  /** A handler of large answers makes the first piece at once; one that says little is to begin whatever else is sent. */
  async #turnToBegin(): Promise<void> {
    const { answerBytes } = this.#options.method;
    if (answerBytes >= LARGE_ANSWER_BYTES) await this.#writer.turn(answerBytes);
  }

  /** In a function of its own, so that nobody holds on to a message while the next one has to wait. */
  async #respondNext(iterator: AsyncIterator<unknown>): Promise<boolean> {
    const next = await iterator.next();
    if (next.done) return false;
    if (this.#ended) return true;
    try {
      const frame = this.#frame(next.value);
      this.#writer.write(frame, 'sent' in iterator ? tellSent(iterator, next.value) : undefined);
    } catch (error) {
      await iterator.return?.();
      throw error;
    }
    return true;
  }

  #frame(response: unknown): Frame {
    const { framer, method } = this.#options;
    const frame = framer.frame(method.definition.responseType, response);
    method.answerBytes = frame.sizeBytes;
    this.#stats.sentBytes += frame.sizeBytes;
    return frame;
  }

  #onHandlerError(error: unknown, request: unknown): void {
    const reason = toIngotError(error);
    this.#audit(reason, request);
    if (OUR_FAULT.has(reason.code)) {
      const { connection, logger } = this.#options;
      logger.error({ method: this.#path, peer: connection.peer, error }, 'a handler failed');
    }
    this.abort(reason);
  }

  #audit(reason: IngotError, request: unknown): void {
    const { connection, logger } = this.#options;
    const { caller } = this.#context;
    const known = caller === nobody ? undefined : caller.name;
    const call = { method: this.#path, caller: known, instance: instanceOf(request), peer: connection.peer };
    auditRefusal(logger, call, reason);
  }

  async #inflate(bytes: Uint8Array): Promise<unknown> {
    return this.#decode(await this.#inflateBytes(bytes));
  }

  #decode(bytes: Uint8Array): unknown {
    try {
      return decodeStrictly(this.#options.method.definition.requestType, bytes);
    } catch (cause) {
      const message = `Call ${this.#path}: the ${bytes.length} bytes of a request are not of its message type`;
      throw invalidArgument(message, { cause });
    }
  }

  /** From receiving or running; frees all that waits for the client. No reason means that all went well. */
  #enterEnded(reason: IngotError | undefined): void {
    this.#ended = true;
    this.#stats.end(this.#startMs, reason?.code ?? Code.OK);
    const { deadlineMs } = this.#context;
    if (deadlineMs !== undefined) this.#options.deadlines.remove(deadlineMs, this);
    this.#context.end(reason);
    this.#requests?.abort(reason ?? CALL_IS_ANSWERED);
    this.#reader.stop();
    // A unary request stays in memory for as long as its handler works on it, whether or not the client is gone.
    if (!this.#running || this.#requests !== undefined) this.#loan.close();
    this.#unaryRequest = undefined;
    if (!this.#running) this.#options.onOver(this);
  }

  get #path(): string {
    return this.#options.method.path;
  }
}

/** In a function of its own, so that it holds on to nothing else. */
function tellSent(responses: AsyncIterator<unknown>, message: unknown): () => void {
  return () => (responses as SentResponses<unknown>).sent(message);
}

/** The instance name in a request that has one. */
function instanceOf(request: unknown): string | undefined {
  if (typeof request !== 'object' || request === null || !('instanceName' in request)) return undefined;
  return typeof request.instanceName === 'string' ? request.instanceName : undefined;
}

function howClientLeft({ goneCode }: Http2Stream): string {
  if (goneCode === 'lost') return 'the connection to the client is lost';
  if (goneCode === ErrorCode.cancel) return 'the client cancelled it';
  return `the client reset it with HTTP/2 code ${goneCode}`;
}
