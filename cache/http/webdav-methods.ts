import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { invalidArgument, notFound } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import type { OpaqueListed } from '../actions/opaque-entries.ts';
import type { HttpFolderView, HttpRead } from './http-exchange.ts';
import { FINITE_DEPTH_ERROR, multistatus, type WebDavResource } from './multistatus.ts';
import { isFolderName } from './webdav-name.ts';

/** What PROPFIND lists of one folder; a program that keeps a cache lists none of this size. */
const LISTED_MAX = 1000;
const METHODS = 'OPTIONS, GET, HEAD, PUT, DELETE, PROPFIND, MKCOL';
const XML = 'application/xml; charset=utf-8';

/** What {@link WebDavMethods} depend on. */
export interface WebDavMethodsDependencies {
  readonly view: HttpFolderView;
  readonly readOf: (request: FastifyRequest, reply: FastifyReply) => HttpRead;
}

/**
 * The methods that WebDAV adds to HTTP, as far as programs that keep a cache use them: OPTIONS, PROPFIND of depth 0
 * and 1, MKCOL, DELETE. No locks, no COPY or MOVE, no properties of a client's own.
 */
export class WebDavMethods {
  readonly #dependencies: WebDavMethodsDependencies;

  constructor(dependencies: WebDavMethodsDependencies) {
    this.#dependencies = dependencies;
  }

  mount(app: FastifyInstance): void {
    for (const method of ['PROPFIND', 'MKCOL']) app.addHttpMethod(method, { hasBody: true });
    app.options('/*', (request, reply) => this.#options(request, reply));
    app.delete('/*', (request, reply) => this.#delete(request, reply));
    app.route({
      method: 'PROPFIND',
      url: '/*',
      handler: (request, reply) => this.#propfind(request, reply),
    });
    app.route({ method: 'MKCOL', url: '/*', handler: (request, reply) => this.#mkcol(request, reply) });
  }

  async #options(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    this.#readOf(request, reply);
    return reply.code(200).header('dav', '1').header('allow', METHODS).send();
  }

  async #delete(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const read = this.#readOf(request, reply);
    if (!(await this.#dependencies.view.remove(read))) throw absent(read);
    return reply.code(204).send();
  }

  /** Folders exist anyhow; there is nothing to do but to say so. */
  async #mkcol(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    this.#readOf(request, reply);
    return reply.code(201).send();
  }

  async #propfind(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const read = this.#readOf(request, reply);
    const { depth = 'infinity' } = request.headers;
    if (depth === 'infinity') return reply.code(403).type(XML).send(FINITE_DEPTH_ERROR);
    if (depth !== '0' && depth !== '1') throw invalidArgument(`depth ${quote(String(depth))} is not 0 or 1`);
    const base = basePath(read);
    const found = await this.#find(read);
    if (found === undefined) throw absent(read);
    const resources: WebDavResource[] = [{ ...found, path: base + found.path }];
    let isCut = false;
    if (depth === '1' && found.digest === undefined) {
      for await (const listed of this.#dependencies.view.list(inFolder(read))) {
        isCut = resources.length > LISTED_MAX;
        if (isCut) break;
        resources.push(resource(listed, base + found.path));
      }
    }
    return reply
      .code(207)
      .type(XML)
      .send(multistatus(resources, { isCut, nowMs: Date.now() }));
  }

  /** What the target is: a value, a folder of that name, or nothing. */
  async #find(read: HttpRead): Promise<WebDavResource | undefined> {
    const { name } = read.target;
    if (isFolderName(name)) return { path: name, digest: undefined };
    const content = await this.#dependencies.view.find(read);
    if (content !== undefined) {
      return { path: name, digest: { hash: content.entityTag, sizeBytes: content.sizeBytes } };
    }
    for await (const _ of this.#dependencies.view.list(inFolder(read))) {
      return { path: `${name}/`, digest: undefined };
    }
    return undefined;
  }

  #readOf(request: FastifyRequest, reply: FastifyReply): HttpRead {
    const read = this.#dependencies.readOf(request, reply);
    if (read.target.kind !== 'webdav') {
      throw notFound(
        `${request.method} is not for ${request.url.slice(0, 100)}: only for what is below /webdav`,
      );
    }
    return read;
  }
}

function resource({ name, digest }: OpaqueListed, folder: string): WebDavResource {
  return { path: folder + name, digest };
}

function inFolder(read: HttpRead): HttpRead {
  const { name } = read.target;
  return isFolderName(name) ? read : { ...read, target: { ...read.target, name: `${name}/` } };
}

/** What stands before a name in a path. */
function basePath({ target: { instanceName } }: HttpRead): string {
  return instanceName === '' ? '/webdav/' : `/${instanceName}/webdav/`;
}

function absent({ target: { name } }: HttpRead) {
  return notFound(`nothing is at ${quote(name)}`);
}
