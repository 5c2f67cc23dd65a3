import type { Socket } from 'node:net';
import type { Server } from 'node:tls';
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { TlsIdentity } from '../../core/auth/tls-identity.ts';
import { dropRest, isReadToItsEnd } from './drop-rest.ts';
import { refuseUnparsed } from './refuse-unparsed.ts';

/** What an {@link httpApp} is made of. */
export interface HttpAppDependencies {
  readonly tls: TlsIdentity | undefined;
  /** Answers what is not served, whoever found that out. */
  readonly onError: (error: unknown, request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;
}

/**
 * Fastify, with the bodies of requests in our own hands: those of PUTs are for their routes to read, all others mean
 * nothing and are let in and thrown away before the route runs.
 */
export function httpApp({ tls, onError }: HttpAppDependencies): FastifyInstance {
  const app: FastifyInstance = fastify({
    ...(tls === undefined ? {} : { https: tls.options }),
    exposeHeadRoutes: false,
    // Who is waited for has limits of its own: see HttpBody and sendBody. Our own work may take longer.
    connectionTimeout: 0,
    requestTimeout: 0,
    bodyLimit: Number.MAX_SAFE_INTEGER,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    clientErrorHandler: (error, socket) => refuseUnparsed(error, socket as Socket),
    frameworkErrors: (error, request, reply) => void onError(error, request, reply),
  });
  const { server } = app;
  tls?.onChange((changed) => (server as unknown as Server).setSecureContext(changed));
  app.setErrorHandler(onError);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.addHook('onRequest', (request, _reply, done) => {
    // No route looks at it, and Fastify refuses what it cannot read.
    delete request.headers['content-type'];
    done();
  });
  app.addHook('preHandler', (request, _reply, done) => {
    if (request.method === 'PUT' || isReadToItsEnd(request.raw)) done();
    else void dropRest(request.raw).then(() => done());
  });
  // The head of a PUT is judged before its sender is told to go on (see HttpBody). One that is refused may or may not
  // send its body nonetheless, and then nobody knows where its next request begins.
  server.on('checkContinue', (request, response) => {
    if (request.method === 'PUT') response.setHeader('connection', 'close');
    else response.writeContinue();
    server.emit('request', request, response);
  });
  // Other expectations are none that have to be met.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  return app;
}
