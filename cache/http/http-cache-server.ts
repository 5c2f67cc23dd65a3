import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import { type LinkedAbort, linkedAbort } from '../../core/abort.ts';
import { anonymous } from '../../core/caller.ts';
import { cancelled, invalidArgument, isIngotError, notFound } from '../../core/error.ts';
import type { Logger } from '../../core/log/logger.ts';
import { httpError } from './http-error.ts';
import type { HttpView } from './http-exchange.ts';
import { type HttpTarget, parseHttpTarget } from './http-target.ts';

/** What an {@link HttpCacheServer} depends on. */
export interface HttpCacheServerDependencies {
  readonly cas: HttpView;
  readonly ac: HttpView;
  /** Larger bodies are refused with 413 before they are read. */
  readonly blobBytesMax: number;
  /** What /status shows, asked for each time. */
  readonly status: () => object;
  readonly logger: Logger;
}

/** An address to listen on, and where it listens. */
export interface HttpAddress {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

/** A connection on which nothing moves for so long is closed. A whole upload may take any time. */
const IDLE_MS = 60_000;

/**
 * The cache as Bazel, ccache and curl use it over HTTP/1.1: GET, HEAD and PUT below /cas and /ac, also behind an
 * instance name, /status and /healthz. A damaged blob never comes as a finished answer.
 */
export class HttpCacheServer implements AsyncDisposable {
  readonly #dependencies: HttpCacheServerDependencies;
  readonly #app: FastifyInstance;

  constructor(dependencies: HttpCacheServerDependencies) {
    this.#dependencies = dependencies;
    this.#app = fastify({
      exposeHeadRoutes: false,
      connectionTimeout: IDLE_MS,
      requestTimeout: 0,
      bodyLimit: Number.MAX_SAFE_INTEGER,
      forceCloseConnections: 'idle',
    });
    this.#app.removeAllContentTypeParsers();
    this.#app.addContentTypeParser('*', (_request, _payload, done) => done(null));
    this.#app.get('/healthz', async () => 'ok\n');
    this.#app.get('/status', async () => dependencies.status());
    this.#app.get('/*', (request, reply) => this.#get(request, reply));
    this.#app.head('/*', (request, reply) => this.#head(request, reply));
    this.#app.put('/*', (request, reply) => this.#put(request, reply));
    this.#app.setErrorHandler((error, request, reply) => this.#fail(error, request, reply));
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
    await this.#app.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #get(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const target = parseHttpTarget(request.url);
    const abort = untilClosed(reply);
    const content = await this.#viewOf(target).get({ target, caller: anonymous, signal: abort.signal });
    if (content === undefined) throw absent(target);
    reply.header('content-length', content.sizeBytes).type('application/octet-stream');
    const stream = Readable.from(content.source, { objectMode: false });
    stream.on('error', (error) => {
      // The answer is cut off: Fastify destroys the connection, so that the client does not take it for whole.
      if (!abort.signal.aborted) this.#dependencies.logger.error({ ...target, error }, 'an answer broke off');
    });
    return reply.send(stream);
  }

  async #head(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const target = parseHttpTarget(request.url);
    const { signal } = untilClosed(reply);
    const sizeBytes = await this.#viewOf(target).size({ target, caller: anonymous, signal });
    if (sizeBytes === undefined) return reply.code(404).send();
    return reply.header('content-length', sizeBytes).type('application/octet-stream').send();
  }

  async #put(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const target = parseHttpTarget(request.url);
    const { signal } = untilClosed(reply);
    const encoding = request.headers['content-encoding'] ?? 'identity';
    if (encoding !== 'identity') {
      return reply.code(415).send(`content-encoding ${encoding} is not supported\n`);
    }
    const contentBytes = parseLength(request.headers['content-length']);
    const { blobBytesMax } = this.#dependencies;
    if (contentBytes !== undefined && contentBytes > blobBytesMax) {
      return reply.code(413).send(`at most ${blobBytesMax} bytes are accepted\n`);
    }
    await this.#viewOf(target).put({
      target,
      caller: anonymous,
      signal,
      contentBytes,
      body: bodyOf(request),
    });
    return reply.code(200).send();
  }

  #viewOf({ kind }: HttpTarget): HttpView {
    return kind === 'cas' ? this.#dependencies.cas : this.#dependencies.ac;
  }

  #fail(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const { status, body } = httpError(error);
    if (!isIngotError(error) || status >= 500) {
      this.#dependencies.logger.error(
        { method: request.method, url: request.url, error },
        'a request failed',
      );
    }
    return reply.code(status).type('text/plain; charset=utf-8').send(body);
  }
}

function untilClosed(reply: FastifyReply): LinkedAbort {
  const abort = linkedAbort();
  reply.raw.once('close', () => abort.abort(cancelled('the HTTP client has gone, or has its answer')));
  return abort;
}

async function* bodyOf({ raw }: FastifyRequest): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    // A store that needs no more bytes leaves the body; the connection must live on for the answer.
    yield* raw.iterator({ destroyOnReturn: false });
  } catch (cause) {
    throw cancelled('the HTTP client broke off its upload', { cause });
  }
}

/** Node has seen to it that it is a number and not beside chunked encoding. */
function parseLength(contentLength: string | undefined): number | undefined {
  if (contentLength === undefined) return undefined;
  const bytes = Number(contentLength);
  if (!Number.isSafeInteger(bytes)) throw invalidArgument(`content-length ${contentLength} is too large`);
  return bytes;
}

function absent({ kind, hash }: HttpTarget) {
  return notFound(`${kind === 'cas' ? 'blob' : 'value'} ${hash} is not here`);
}
