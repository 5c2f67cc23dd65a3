import type { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import type { RequestMetadata } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import type { Caller } from '../caller.ts';

/** Gives memory for so many bytes. */
export type TakeMemory = (bytes: number) => Buffer;

/** Encodes and decodes one message type; what ts-proto generates fits. */
export interface MessageCodec<T> {
  /** Writes to the end of `writer` when there is one, and returns it. */
  encode(message: T, writer?: BinaryWriter): { finish(): Uint8Array };
  /**
   * The same bytes in pieces, for messages with a payload that need not be copied. The first piece is small. What is
   * written anew may be written to memory from `take`, which serves again once the pieces are sent.
   */
  encodeParts?(message: T, take?: TakeMemory): readonly Uint8Array[];
  decode(input: BinaryReader | Uint8Array): T;
  /** Decodes the one message that these bytes are, as strictly as `decodeStrictly` would; where there is a faster way. */
  decodeWhole?(bytes: Uint8Array): T;
}

/** One method of a generated service definition. */
export interface MethodDefinition {
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: a codec is invariant in its message, and here the message is any one
  readonly requestType: MessageCodec<any>;
  readonly requestStream: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly responseType: MessageCodec<any>;
  readonly responseStream: boolean;
}

/** A generated service definition (ts-proto `generic-definitions`). */
export interface ServiceDefinition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

type MessageOf<C> = C extends MessageCodec<infer T> ? T : never;
export type RequestOf<M extends MethodDefinition> = MessageOf<M['requestType']>;
export type ResponseOf<M extends MethodDefinition> = MessageOf<M['responseType']>;

/** What a handler knows of its call besides the request. */
export interface CallContext {
  /**
   * Aborts when the client goes, the deadline passes, the server stops for good, and after the call is over, so
   * that work linked to it always ends. The reason is an IngotError (CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE).
   */
  readonly signal: AbortSignal;
  /** Throws the signal's reason when it has aborted, without making one for it. */
  throwIfAborted(): void;
  /** Milliseconds of `performance.now()` at which the client gives up; undefined when it did not say. */
  readonly deadlineMs: number | undefined;
  /** Request headers by lower-case name; `-bin` ones are still base64. */
  readonly metadata: ReadonlyMap<string, string>;
  /** The client's address, for logs. */
  readonly peer: string;
  /** From the RequestMetadata header, when there is a well-formed one. */
  readonly requestMetadata: RequestMetadata | undefined;
  /** Its tool_invocation_id, unless it is empty: the build that the call is part of. */
  readonly invocationId: string | undefined;
  readonly caller: Caller;
}

type Incoming<M extends MethodDefinition> = M['requestStream'] extends true
  ? AsyncIterable<RequestOf<M>>
  : RequestOf<M>;
type Outgoing<M extends MethodDefinition> = M['responseStream'] extends true
  ? AsyncIterable<ResponseOf<M>>
  : Promise<ResponseOf<M>>;

type Answer<M extends MethodDefinition> = M['responseStream'] extends true
  ? Outgoing<M> | Promise<Outgoing<M>>
  : Outgoing<M>;

/**
 * The handlers of a service: async functions, or async generators where the response is a stream. Such a handler may
 * also be an async function that returns the stream, and return an `OneResponse` when it is a single message.
 */
export type ServiceImplementation<D extends ServiceDefinition> = {
  readonly [K in keyof D['methods']]: (
    request: Incoming<D['methods'][K]>,
    context: CallContext,
  ) => Answer<D['methods'][K]>;
};

/** Options of one call made by a client. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long the call may take in all, retries included. Default: the channel's. 0 means no limit. */
  readonly timeoutMs?: number;
  readonly metadata?: ReadonlyMap<string, string>;
  /** Sent as the RequestMetadata header. */
  readonly requestMetadata?: RequestMetadata | undefined;
  /** May be sent again after UNAVAILABLE; only unary calls. Default: the channel's policy, which retries. */
  readonly retry?: boolean;
}

/** A typed client of a service: one function a method. Errors are IngotErrors with the status's details. */
export type ServiceClient<D extends ServiceDefinition> = {
  readonly [K in keyof D['methods']]: (
    request: Incoming<D['methods'][K]>,
    options?: CallOptions,
  ) => Outgoing<D['methods'][K]>;
};
