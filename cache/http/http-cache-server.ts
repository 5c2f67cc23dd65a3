import assert from 'node:assert/strict';
import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type LinkedAbort, linkedAbort } from '../../core/abort.ts';
import { anonymousAuthenticator } from '../../core/auth/anonymous-authenticator.ts';
import { requireInstance, requireRight } from '../../core/auth/require-right.ts';
import type { ServerSecurity } from '../../core/auth/server-security.ts';
import {
  cancelled,
  invalidArgument,
  isIngotError,
  notFound,
  toIngotError,
  unavailable,
} from '../../core/error.ts';
import type { Logger } from '../../core/log/logger.ts';
import type { MetricRegistry } from '../../core/metrics/metric-registry.ts';
import { PROMETHEUS_TYPE } from '../../core/metrics/prometheus-text.ts';
import { WholeBytes } from '../../core/streams.ts';
import { Compressor_Value } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { acceptsZstd } from './accepts-zstd.ts';
import { httpApp } from './http-app.ts';
import { HttpBody } from './http-body.ts';
import { HttpCallers } from './http-callers.ts';
import { formatEntityTag, hasAlready, rangeHeader } from './http-conditions.ts';
import { httpError } from './http-error.ts';
import type { HttpContent, HttpFolderView, HttpRead, HttpView } from './http-exchange.ts';
import { HttpMetrics } from './http-metrics.ts';
import { selectRange } from './http-range.ts';
import { type HttpTarget, parseHttpTarget } from './http-target.ts';
import { refuseRequest } from './refuse-request.ts';
import { limitStall, sendBody } from './send-body.ts';
import { WebDavMethods } from './webdav-methods.ts';

/** What an {@link HttpCacheServer} depends on. */
export interface HttpCacheServerDependencies {
  readonly cas: HttpView;
  readonly ac: HttpView;
  readonly webdav: HttpFolderView;
  /** Larger bodies are refused with 413 before they are read. */
  readonly blobBytesMax: number;
  /** What /status shows, asked for each time. */
  readonly status: () => object;
  /** What is wrong, for /healthz; undefined when all is well. */
  readonly problem: () => Promise<string | undefined>;
  /** What /metrics shows; the server adds its own. */
  readonly metrics: MetricRegistry;
  readonly logger: Logger;
  /** Who may call, and how the server proves itself. Default: anyone, over clear text. */
  readonly security?: ServerSecurity | undefined;
}

/** An address to listen on, and where it listens. */
export interface HttpAddress {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

/** Counted for an answer that was not finished. */
const CLIENT_LEFT = 499;
/** For load balancers, which have no credentials; it tells nothing. */
const PUBLIC_PATHS: ReadonlySet<string> = new Set(['/healthz']);

/**
 * The cache as Bazel, ccache, sccache and curl use it over HTTP/1.1: GET, HEAD and PUT below /cas, /ac and /webdav,
 * also behind an instance name, and /status, /healthz and /metrics. A damaged blob never comes as a finished answer.
 */
export class HttpCacheServer implements AsyncDisposable {
  readonly #dependencies: HttpCacheServerDependencies;
  readonly #app: FastifyInstance;
  readonly #metrics = new HttpMetrics();
  readonly #callers: HttpCallers;
  #closing = false;

  constructor(dependencies: HttpCacheServerDependencies) {
    this.#dependencies = dependencies;
    const { logger, security: { authenticator = anonymousAuthenticator, tls } = {} } = dependencies;
    this.#callers = new HttpCallers({ authenticator, logger, publicPaths: PUBLIC_PATHS });
    this.#app = httpApp({ tls, onError: (error, request, reply) => this.#fail(error, request, reply) });
    this.#app.addHook('onRequest', async (request, reply) => this.#begin(request, reply));
    this.#callers.watch(this.#app);
    dependencies.metrics.add(this.#metrics);
    this.#app.get('/healthz', (_request, reply) => this.#health(reply));
    this.#app.get('/metrics', (request, reply) => {
      requireRight(this.#callers.callerOf(request), ['read'], 'GET /metrics');
      return reply.type(PROMETHEUS_TYPE).send(dependencies.metrics.text());
    });
    this.#app.get('/status', async (request) => {
      requireRight(this.#callers.callerOf(request), ['read'], 'GET /status');
      return dependencies.status();
    });
    this.#app.get('/*', (request, reply) => this.#get(request, reply));
    this.#app.head('/*', (request, reply) => this.#head(request, reply));
    this.#app.put('/*', (request, reply) => this.#put(request, reply));
    new WebDavMethods({
      view: dependencies.webdav,
      readOf: (request, reply) => this.#readOf(request, reply),
    }).mount(this.#app);
    this.#app.setNotFoundHandler((request, reply) =>
      this.#fail(notFound(`${request.method} is not for ${request.url.slice(0, 100)}`), request, reply),
    );
  }

  /** Begins to listen; resolves with the address, the port chosen. */
  async listen({ host, port }: HttpAddress): Promise<HttpAddress> {
    await this.#app.listen({ host, port });
    const address = this.#app.server.address();
    assert(address !== null && typeof address === 'object', 'a TCP server has an address and a port');
    return { host, port: address.port };
  }

  /** Takes nothing new and waits for the answers under way. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#app.close();
    this.#callers[Symbol.dispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #get(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const read = this.#readOf(request, reply);
    const content = await this.#viewOf(read.target).find(read);
    if (content === undefined) throw absent(read.target);
    const { sizeBytes, entityTag } = content;
    describe(content, reply);
    if (hasAlready(request.headers, entityTag)) return reply.code(304).send();
    if (content.openEncoded !== undefined) {
      reply.header('vary', 'accept-encoding');
      const takesZstd = acceptsZstd(request.headers) && request.headers.range === undefined;
      if (takesZstd) {
        await this.#sendEncoded(content, reply, read);
        return reply;
      }
    }
    const range = selectRange(rangeHeader(request.headers, entityTag), sizeBytes);
    if (range === 'none') {
      return reply.code(416).header('content-range', `bytes */${sizeBytes}`).send();
    }
    const { start, end } = range ?? { start: 0, end: sizeBytes };
    // A store checks a blob that is read as a whole; of a part it cannot know.
    const isWhole = start === 0 && end === sizeBytes;
    const source = await content.open(isWhole ? undefined : { offset: start, limit: end - start });
    if (source === undefined) throw absent(read.target);
    if (range !== undefined) {
      reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${sizeBytes}`);
    }
    if (source instanceof WholeBytes) {
      this.#metrics.sentBytes += source.bytes.byteLength;
      limitStall(reply.raw);
      return reply.send(source.bytes);
    }
    reply.header('content-length', end - start);
    await this.#stream(reply, source, read);
    return reply;
  }

  /** Sends the whole value, compressed where that pays. */
  async #sendEncoded(content: HttpContent, reply: FastifyReply, read: HttpRead): Promise<void> {
    const encoded = await content.openEncoded?.();
    if (encoded === undefined) throw absent(read.target);
    const { source, sizeBytes, compressor } = encoded;
    if (compressor === Compressor_Value.ZSTD) {
      // Other bytes, other tag: a client must not join parts of the two.
      reply.header('content-encoding', 'zstd').header('etag', formatEntityTag(`${content.entityTag}-zstd`));
    }
    if (sizeBytes !== undefined) reply.header('content-length', sizeBytes);
    await this.#stream(reply, source, read);
  }

  async #head(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const read = this.#readOf(request, reply);
    const content = await this.#viewOf(read.target).find(read);
    if (content === undefined) return reply.code(404).send();
    describe(content, reply);
    if (hasAlready(request.headers, content.entityTag)) return reply.code(304).send();
    return reply.header('content-length', content.sizeBytes).send();
  }

  async #put(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const read = this.#readOf(request, reply);
    const encoding = request.headers['content-encoding'] ?? 'identity';
    const isZstd = encoding === 'zstd' && read.target.kind === 'cas';
    if (encoding !== 'identity' && !isZstd) {
      const text = `content-encoding ${encoding} is not supported\n`;
      return refuseRequest(request, reply, { status: 415, text });
    }
    const { blobBytesMax } = this.#dependencies;
    const body = new HttpBody(request.raw, reply.raw, {
      bytesMax: blobBytesMax,
      onReceived: (bytes) => {
        this.#metrics.receivedBytes += bytes;
      },
    });
    const tooLarge = () =>
      refuseRequest(request, reply, { status: 413, text: `at most ${blobBytesMax} bytes are accepted\n` });
    if (body.isTooLarge) return tooLarge();
    const { contentBytes } = body;
    try {
      const status = await this.#viewOf(read.target).put({
        ...read,
        contentBytes,
        body: body.bytes(),
        encoding: isZstd ? 'zstd' : undefined,
      });
      await body.finish();
      return reply.code(status).send();
    } catch (error) {
      if (body.isTooLarge) return await tooLarge();
      throw error;
    }
  }

  /** Writes a body past Fastify, whose way with streams costs more than the bytes themselves. */
  async #stream(reply: FastifyReply, source: AsyncIterable<Uint8Array>, read: HttpRead): Promise<void> {
    const { target, signal } = read;
    reply.hijack();
    reply.raw.writeHead(reply.statusCode, reply.getHeaders() as OutgoingHttpHeaders);
    try {
      await sendBody(reply.raw, source, {
        signal,
        onSent: (bytes) => {
          this.#metrics.sentBytes += bytes;
        },
      });
    } catch (error) {
      // The answer is cut off, so that the client does not take it for whole.
      if (!signal.aborted) this.#dependencies.logger.error({ ...target, error }, 'an answer broke off');
      reply.raw.destroy();
    }
  }

  async #health(reply: FastifyReply): Promise<FastifyReply> {
    const problem = await this.#dependencies.problem();
    return problem === undefined ? reply.send('ok\n') : reply.code(503).send(`${problem}\n`);
  }

  #begin({ method, url }: FastifyRequest, { raw }: FastifyReply): void {
    const startMs = performance.now();
    raw.once('close', () => {
      // Who is refused may leave as soon as it knows.
      const isAnswered = raw.writableFinished || (raw.headersSent && raw.statusCode >= 400);
      const status = isAnswered ? raw.statusCode : CLIENT_LEFT;
      this.#metrics.ended({ method, url, status, seconds: (performance.now() - startMs) / 1000 });
    });
    if (this.#closing) throw unavailable('the cache is shutting down');
  }

  #readOf(request: FastifyRequest, reply: FastifyReply): HttpRead {
    const target = parseHttpTarget(request.url);
    const caller = this.#callers.callerOf(request);
    // Here for all views: some of what they stand on knows instances by name only.
    requireInstance(caller, target.instanceName);
    const { signal } = untilClosed(reply);
    return { target, caller, headers: request.headers, signal };
  }

  #viewOf({ kind }: HttpTarget): HttpView {
    return this.#dependencies[kind];
  }

  #fail(thrown: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const error = isRefusedByFastify(thrown) ? invalidArgument(thrown.message) : thrown;
    const { status, body: text, retryAfterSeconds } = httpError(error);
    this.#callers.audit(request, toIngotError(error));
    if (status === UNAUTHORIZED)
      reply.header('www-authenticate', 'Bearer realm="ingot", Basic realm="ingot"');
    if (!isIngotError(error) || status >= 500) {
      this.#dependencies.logger.error(
        { method: request.method, url: request.url, error },
        'a request failed',
      );
    }
    if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds);
    return refuseRequest(request, reply, { status, text });
  }
}

const UNAUTHORIZED = 401;

/** What Fastify finds wrong with a request before any of ours sees it, such as an address that cannot be decoded. */
function isRefusedByFastify(error: unknown): error is FastifyError {
  return error instanceof Error && 'statusCode' in error && Number(error.statusCode) < 500;
}

function untilClosed(reply: FastifyReply): LinkedAbort {
  const abort = linkedAbort();
  reply.raw.once('close', () => abort.abort(cancelled('the HTTP client has gone, or has its answer')));
  return abort;
}

function describe({ entityTag, mediaType, encoding }: HttpContent, reply: FastifyReply): void {
  reply
    .type(mediaType ?? 'application/octet-stream')
    .header('etag', formatEntityTag(entityTag))
    .header('accept-ranges', 'bytes');
  if (encoding !== undefined) reply.header('content-encoding', encoding);
}

function absent({ kind, name }: HttpTarget) {
  return notFound(`${kind === 'cas' ? 'blob' : 'value'} ${name} is not here`);
}
