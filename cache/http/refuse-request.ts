import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { dropRest, isReadToItsEnd } from './drop-rest.ts';

/** What a refused client is told. */
export interface Refusal {
  readonly status: number;
  readonly text: string;
}

/**
 * Answers a request that is not served, also when its body is still under way. The client may then read the answer now
 * or once it has sent all: the connection is closed after that, and not before.
 */
export async function refuseRequest(
  request: FastifyRequest,
  reply: FastifyReply,
  { status, text }: Refusal,
): Promise<FastifyReply> {
  reply.code(status).type('text/plain; charset=utf-8');
  if (isReadToItsEnd(request.raw)) return reply.send(text);
  if (!request.raw.complete) reply.header('connection', 'close');
  reply.header('content-length', Buffer.byteLength(text)).hijack();
  const { raw } = reply;
  raw.writeHead(reply.statusCode, reply.getHeaders() as OutgoingHttpHeaders);
  raw.write(text);
  await dropRest(request.raw);
  raw.end();
  return reply;
}
