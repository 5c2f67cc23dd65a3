import { HealthDefinition } from '../../proto/gen/grpc/health/v1/health.ts';
import { anonymousAuthenticator } from '../auth/anonymous-authenticator.ts';
import { auditRefusal } from '../auth/audit.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { RENEWAL_MS } from '../auth/caller-renewal.ts';
import type { MethodRights } from '../auth/method-rights.ts';
import type { TlsIdentity } from '../auth/tls-identity.ts';
import { nobody } from '../caller.ts';
import { failedPrecondition, resourceExhausted, toIngotError, unavailable } from '../error.ts';
import { retryInfo } from '../error-details.ts';
import { encodeHeaders } from '../http2/hpack-encoder.ts';
import type { Http2Connection } from '../http2/http2-connection.ts';
import { Http2Server } from '../http2/http2-server.ts';
import type { Http2Stream } from '../http2/http2-stream.ts';
import type { RequestHeaders } from '../http2/request-headers.ts';
import type { Logger } from '../log/logger.ts';
import type { MetricFamily } from '../metrics/metric-family.ts';
import type { MetricSource } from '../metrics/metric-source.ts';
import { startTimer } from '../timer.ts';
import { HealthService, WHOLE_SERVER } from './health-service.ts';
import { ByteBudget } from './rpc-byte-budget.ts';
import { Deadlines } from './rpc-deadlines.ts';
import { MessageFramer } from './rpc-frame.ts';
import { defaultRpcServerLimits, type RpcServerLimits } from './rpc-limits.ts';
import { rpcMetrics } from './rpc-method-stats.ts';
import { ResponseWriter } from './rpc-response-writer.ts';
import { RpcRouter } from './rpc-router.ts';
import { ServerCall } from './rpc-server-call.ts';
import type { ServiceDefinition, ServiceImplementation } from './rpc-service.ts';
import { SessionKeeper } from './rpc-session-keeper.ts';
import { transportLimits } from './rpc-transport.ts';

/** What a server is made of. */
export interface RpcServerDependencies {
  readonly logger: Logger;
  /** Limits that differ from {@link defaultRpcServerLimits}. */
  readonly limits?: Partial<RpcServerLimits>;
  /** Who may call. Default: anyone, as anonymous. */
  readonly authenticator?: Authenticator;
  /** Default: clear text. */
  readonly tls?: TlsIdentity | undefined;
}

/** Where to listen, and where a server listens. */
export interface RpcAddress {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

const RETRY_DELAY_MS = 1000; // What clients of a server that shuts down are told to wait before they try again.
const GOODBYE_MS = 250; // For the last statuses to reach clients once the grace is over.

/**
 * A gRPC server whose handlers are async functions and generators. States: being built (`addService`), listening,
 * closing (no new calls, running ones go on), closed. It answers grpc.health.v1 by itself.
 */
export class RpcServer implements MetricSource, AsyncDisposable {
  readonly health = new HealthService();
  readonly #logger: Logger;
  readonly #limits: RpcServerLimits;
  readonly #router = new RpcRouter();
  readonly #budget: ByteBudget;
  readonly #framer = new MessageFramer();
  readonly #deadlines = new Deadlines();
  readonly #transport: Http2Server;
  readonly #authenticator: Authenticator;
  readonly #renewals: NodeJS.Timeout | undefined;
  readonly #sessions: SessionKeeper;
  readonly #calls = new Set<ServerCall>();
  #closing: Promise<void> | undefined;
  #callsOver: PromiseWithResolvers<void> | undefined;

  constructor({ logger, limits, authenticator = anonymousAuthenticator, tls }: RpcServerDependencies) {
    this.#authenticator = authenticator;
    this.#logger = logger;
    this.#limits = { ...defaultRpcServerLimits, ...limits };
    this.#budget = new ByteBudget(this.#limits.bufferedBytesMax);
    this.#sessions = new SessionKeeper({ limits: this.#limits, logger });
    this.#transport = new Http2Server({
      limits: transportLimits(this.#limits),
      connectionsMax: this.#limits.sessionsMax,
      tls,
      listener: {
        onConnection: (connection) => this.#sessions.add(connection),
        onStream: (stream, connection) => this.#onStream(stream, connection),
        onClose: (connection) => this.#sessions.remove(connection),
        onError: (error, { peer }) => this.#logger.debug({ peer, error }, 'a connection broke'),
      },
    });
    if (authenticator !== anonymousAuthenticator) {
      this.#renewals = setInterval(() => this.#renewCallers(), RENEWAL_MS).unref();
    }
    // Load balancers ask it, and it tells nothing of what is stored.
    this.#router.add(HealthDefinition, this.health, { check: 'public', list: 'public', watch: 'public' });
    this.health.setServing(WHOLE_SERVER, true);
  }

  /** Full names of the services it answers. */
  get serviceNames(): readonly string[] {
    return this.#router.serviceNames;
  }

  /** What was seen of its calls. Those refused before a method was found for them are not among them. */
  metrics(): MetricFamily[] {
    return rpcMetrics(this.#router.stats());
  }

  /** Adds the handlers of a service, and counts it as serving. Without `rights`, calling it takes all of them. */
  addService<D extends ServiceDefinition>(
    definition: D,
    implementation: ServiceImplementation<D>,
    rights?: MethodRights<D>,
  ): void {
    this.#router.add(definition, implementation, rights);
    this.health.setServing(definition.fullName, true);
  }

  /** Starts to take calls; gives the address it has got. FAILED_PRECONDITION when that address is not to be had. */
  async listen({ host, port }: RpcAddress): Promise<RpcAddress> {
    const address = await this.#transport.listen({ host, port }).catch((cause: Error) => {
      throw failedPrecondition(`Listen on ${host}:${port}: ${cause.message}`, { cause });
    });
    this.#transport.onError((error) => this.#logger.error({ error }, 'the listening socket failed'));
    return { host: address.address, port: address.port };
  }

  /**
   * Takes no new calls and waits for the running ones; those that are not over after `graceMs` are ended with
   * UNAVAILABLE. A second call waits for the first.
   */
  close({ graceMs }: { readonly graceMs: number }): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close({ graceMs: 0 });
  }

  async #close(graceMs: number): Promise<void> {
    this.health.drain();
    this.#transport.close();
    this.#sessions.closeGently();
    await atMost(graceMs, this.#waitForCalls());
    for (const call of this.#calls) {
      call.abort(unavailable('the server is shutting down', { details: [retryInfo(RETRY_DELAY_MS)] }));
    }
    await atMost(GOODBYE_MS, Promise.all([this.#sessions.whenEmpty(), this.#waitForCalls()]));
    this.#sessions.destroy();
    this.#deadlines.close();
    clearInterval(this.#renewals);
  }

  #renewCallers(): void {
    for (const call of this.#calls) call.renewCaller(this.#authenticator);
  }

  async #waitForCalls(): Promise<void> {
    if (this.#calls.size === 0) return;
    this.#callsOver ??= Promise.withResolvers();
    await this.#callsOver.promise;
  }

  #onStream(stream: Http2Stream, connection: Http2Connection): void {
    const refusal = refuseHttp(stream.headers);
    if (refusal !== undefined) {
      stream.respond(refusal, { endStream: true, reset: true });
      return;
    }
    try {
      this.#startCall(stream, connection);
    } catch (error) {
      const reason = toIngotError(error);
      const call = {
        method: stream.headers.path,
        caller: undefined,
        instance: undefined,
        peer: connection.peer,
      };
      auditRefusal(this.#logger, call, reason);
      new ResponseWriter(stream).end(reason, { reset: true });
    }
  }

  #startCall(stream: Http2Stream, connection: Http2Connection): void {
    const { path } = stream.headers;
    const method = this.#router.find(path);
    if (method === undefined) throw this.#router.explainMissing(path);
    if (this.#calls.size >= this.#limits.callsMax) {
      throw resourceExhausted(`Call ${path}: ${this.#calls.size} calls run here, the limit is reached`, {
        details: [retryInfo(RETRY_DELAY_MS)],
      });
    }
    const caller =
      method.rights === 'public'
        ? nobody
        : this.#authenticator.authenticate(stream.headers.authorization, connection.certificate);
    const call = new ServerCall({
      caller,
      stream,
      method,
      connection,
      limits: this.#limits,
      budget: this.#budget,
      framer: this.#framer,
      deadlines: this.#deadlines,
      logger: this.#logger,
      onOver: this.#onCallOver,
    });
    this.#calls.add(call);
    call.start();
  }

  #onCallOver = (call: ServerCall): void => {
    if (!this.#calls.delete(call)) return;
    if (this.#calls.size === 0) this.#callsOver?.resolve();
  };
}

async function atMost(ms: number, promise: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<void>();
  const cancelTimer = startTimer(ms, late.resolve);
  await Promise.race([promise, late.promise]);
  cancelTimer();
}

const methodNotAllowed = encodeHeaders([[':status', '405']]);
const unsupportedMediaType = encodeHeaders([[':status', '415']]);

/** The answer to what is no gRPC request at all; undefined when it is one. */
function refuseHttp({ method, contentType }: RequestHeaders): Uint8Array | undefined {
  if (method !== 'POST') return methodNotAllowed;
  if (contentType === 'application/grpc') return undefined;
  return /^application\/grpc(\+proto)?(;|$)/.test(contentType) ? undefined : unsupportedMediaType;
}
