import { Channel, Metadata } from '@grpc/grpc-js';
import { throwIfAborted } from '../abort.ts';
import { cancelled } from '../error.ts';
import { type Logger, silentLogger } from '../log/logger.ts';
import { type ChannelSecurity, channelCredentials } from './rpc-channel-security.ts';
import { ClientCall } from './rpc-client-call.ts';
import { MethodCaller } from './rpc-method-caller.ts';
import { encodeRequestMetadata, REQUEST_METADATA_HEADER } from './rpc-request-metadata.ts';
import { defaultRetryPolicy, type RetryPolicy } from './rpc-retry-policy.ts';
import type { CallOptions, MethodDefinition, ServiceClient, ServiceDefinition } from './rpc-service.ts';

/** What a channel is made of. */
export interface RpcChannelOptions {
  /** HOST:PORT */
  readonly address: string;
  readonly logger?: Logger;
  /** For unary calls. Default: {@link defaultRetryPolicy}. */
  readonly retry?: RetryPolicy;
  /** Of unary calls, retries included; 0 means none. A stream has no limit but what its call sets. Default: 60 s. */
  readonly defaultTimeoutMs?: number;
  /** Numbers from 0 to 1, to spread retries. Default: `Math.random`. */
  readonly random?: () => number;
  /** Default: no credential, over clear text. */
  readonly security?: ChannelSecurity | undefined;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024; // Answers may be larger than requests: a tree, a list of operations.
const FLOW_CONTROL_WINDOW_BYTES = 4 * 1024 * 1024; // Bandwidth × round trip of one download.
const RETRY_BUFFER_BYTES = 64 * 1024; // What a stream may send before its writes wait for the connection.

// A server that is restarted, or whose machine vanished, is noticed and found again within these.
const KEEPALIVE_TIME_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
const RECONNECT_MS = 100;
const RECONNECT_MS_MAX = 2000;

/** The way a method is called, its types forgotten. */
type Caller = (request: never, options?: CallOptions) => unknown;

/**
 * A connection to one server, opened at the first call and again after it broke, shared by all clients made from it.
 * Unary calls are retried after UNAVAILABLE. Streams are not; they begin when they are iterated, and are cancelled
 * when their reader stops early.
 */
export class RpcChannel implements AsyncDisposable {
  readonly address: string;
  readonly #channel: Channel;
  readonly #logger: Logger;
  readonly #retry: RetryPolicy;
  readonly #defaultTimeoutMs: number;
  readonly #random: () => number;
  readonly #token: (() => string | undefined) | undefined;
  readonly #calls = new Set<ClientCall>();
  readonly #closed = new AbortController();

  constructor({ address, logger, retry, defaultTimeoutMs, random, security }: RpcChannelOptions) {
    this.#token = security?.token;
    this.address = address;
    this.#logger = logger ?? silentLogger;
    this.#retry = retry ?? defaultRetryPolicy;
    this.#defaultTimeoutMs = defaultTimeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#random = random ?? Math.random;
    this.#channel = new Channel(`dns:${address}`, channelCredentials(security?.tls), {
      'grpc.max_send_message_length': -1,
      'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
      'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc.initial_reconnect_backoff_ms': RECONNECT_MS,
      'grpc.max_reconnect_backoff_ms': RECONNECT_MS_MAX,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      'grpc.per_rpc_retry_buffer_size': RETRY_BUFFER_BYTES,
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc-node.flow_control_window': FLOW_CONTROL_WINDOW_BYTES,
    });
  }

  /** A typed client of a service at this address. */
  client<D extends ServiceDefinition>(definition: D): ServiceClient<D> {
    const callers: Record<string, Caller> = {};
    for (const [key, method] of Object.entries(definition.methods)) {
      callers[key] = this.#caller(`/${definition.fullName}/${method.name}`, method);
    }
    return callers as ServiceClient<D>;
  }

  /** Cancels the calls that run and closes the connection. */
  async close(): Promise<void> {
    const reason = cancelled(`The channel to ${this.address} was closed`);
    this.#closed.abort(reason);
    for (const call of this.#calls) call.cancel(reason);
    this.#channel.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #caller(path: string, definition: MethodDefinition): Caller {
    const caller = new MethodCaller({
      path,
      definition,
      startCall: (...args) => this.#startCall(...args),
      retry: this.#retry,
      defaultTimeoutMs: this.#defaultTimeoutMs,
      random: this.#random,
      logger: this.#logger,
      closed: this.#closed.signal,
    });
    if (!definition.requestStream) {
      return definition.responseStream
        ? (request, options) => caller.serverStream(request, options)
        : (request, options) => caller.unary(request, options);
    }
    return definition.responseStream
      ? (requests, options) => caller.bidiStream(requests, options)
      : (requests, options) => caller.clientStream(requests, options);
  }

  #startCall(path: string, options: CallOptions, timeoutMs: number | undefined): ClientCall {
    throwIfAborted(this.#closed.signal);
    const call = new ClientCall({
      channel: this.#channel,
      address: this.address,
      path,
      metadata: toMetadata(options, this.#token?.()),
      timeoutMs,
      signal: options.signal,
      onOver: this.#onCallOver,
    });
    this.#calls.add(call);
    return call;
  }

  #onCallOver = (call: ClientCall): void => {
    this.#calls.delete(call);
  };
}

function toMetadata({ metadata, requestMetadata }: CallOptions, token: string | undefined): Metadata {
  const headers = new Metadata();
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
  for (const [name, value] of metadata ?? []) {
    headers.set(name, name.endsWith('-bin') ? Buffer.from(value, 'base64') : value);
  }
  if (requestMetadata !== undefined)
    headers.set(REQUEST_METADATA_HEADER, encodeRequestMetadata(requestMetadata));
  return headers;
}
