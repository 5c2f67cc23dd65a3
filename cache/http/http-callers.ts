import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { anonymousAuthenticator } from '../../core/auth/anonymous-authenticator.ts';
import { auditRefusal } from '../../core/auth/audit.ts';
import type { Authenticator } from '../../core/auth/authenticator.ts';
import { RENEWAL_MS, renewCaller } from '../../core/auth/caller-renewal.ts';
import { type ClientCertificate, clientCertificateOf } from '../../core/auth/client-certificate.ts';
import { type Caller, nobody } from '../../core/caller.ts';
import type { IngotError } from '../../core/error.ts';
import type { Logger } from '../../core/log/logger.ts';

/** What an {@link HttpCallers} is made of. */
export interface HttpCallersDependencies {
  readonly authenticator: Authenticator;
  readonly logger: Logger;
  /** Paths for everyone, such as a load balancer's. */
  readonly publicPaths: ReadonlySet<string>;
}

/** Who makes each request of an HTTP server: asked before its route runs, and again while it is open. */
export class HttpCallers implements Disposable {
  readonly #dependencies: HttpCallersDependencies;
  readonly #callers = new WeakMap<FastifyRequest, Caller>();
  readonly #open = new Set<FastifyRequest>();
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(dependencies: HttpCallersDependencies) {
    this.#dependencies = dependencies;
    if (dependencies.authenticator === anonymousAuthenticator) return;
    this.#timer = setInterval(() => this.#renew(), RENEWAL_MS).unref();
  }

  /** Has every request of the server authenticated; what is refused goes to its error handler. */
  watch(app: FastifyInstance): void {
    app.addHook('onRequest', async (request, reply) => this.#authenticate(request, reply));
  }

  callerOf(request: FastifyRequest): Caller {
    return this.#callers.get(request) ?? nobody;
  }

  /** For the audit log, when a request was refused. */
  audit(request: FastifyRequest, reason: IngotError): void {
    const caller = this.callerOf(request);
    const call = {
      // Longer paths are not ours.
      method: `${request.method} ${request.url.slice(0, 200)}`,
      caller: caller === nobody ? undefined : caller.name,
      instance: undefined,
      peer: `${request.ip}:${request.socket.remotePort}`,
    };
    auditRefusal(this.#dependencies.logger, call, reason);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #authenticate(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { authenticator, publicPaths } = this.#dependencies;
    if (publicPaths.has(request.url)) return;
    const caller = await authenticator.authenticate(request.headers.authorization, certificateOf(request));
    this.#callers.set(request, caller);
    if (this.#timer === undefined) return;
    this.#open.add(request);
    reply.raw.once('close', () => this.#open.delete(request));
  }

  #renew(): void {
    for (const request of this.#open) {
      renewCaller(this.#dependencies.authenticator, {
        authorization: request.headers.authorization,
        certificate: certificateOf(request),
        caller: this.callerOf(request),
        end: (reason) => {
          this.audit(request, reason);
          this.#open.delete(request);
          // HTTP/1.1 has no other way to end what has begun.
          request.raw.destroy();
        },
      });
    }
  }
}

function certificateOf({ socket }: FastifyRequest): ClientCertificate | undefined {
  return clientCertificateOf(socket);
}
