import type { Socket } from 'node:net';
import type { PeerCertificate, TLSSocket } from 'node:tls';

/** A client's certificate, as far as callers are told apart by it. */
export interface ClientCertificate {
  /** Its first URI or DNS name (subjectAltName), else its common name; empty when it has none. */
  readonly name: string;
  readonly expiresAtMs: number;
  /** Why it does not count, such as an unknown issuer; undefined when the client CA vouches for it. */
  readonly problem: string | undefined;
}

/** The certificate a client opened its connection with; undefined over clear text, and when it sent none. */
export function clientCertificateOf(plain: Socket | TLSSocket): ClientCertificate | undefined {
  // Not `in`: that of an HTTP/2 session is a proxy, which has the properties of the socket when they are read only.
  const socket = plain as TLSSocket;
  if (typeof socket.getPeerCertificate !== 'function') return undefined;
  const certificate = socket.getPeerCertificate();
  // Empty, or null once the connection is gone, whatever the types say.
  if (!certificate || Object.keys(certificate).length === 0) return undefined;
  const problem = socket.authorized ? undefined : String(socket.authorizationError ?? 'not verified');
  return { name: nameOf(certificate), expiresAtMs: Date.parse(certificate.valid_to), problem };
}

/** Node quotes a name in which it would be ambiguous; such a name is none of ours. */
const NAME = /^(?:URI|DNS):([A-Za-z0-9._:/@*-]+)$/;

function nameOf({ subjectaltname = '', subject }: PeerCertificate): string {
  for (const part of subjectaltname.split(', ')) {
    const name = NAME.exec(part)?.[1];
    if (name !== undefined) return name;
  }
  const { CN } = subject ?? {};
  // Several common names would come as an array.
  return typeof CN === 'string' ? CN : '';
}
