import { invalidArgument, notFound } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import { checkInstanceName } from '../../core/resource-name.ts';

/** What a path of the HTTP cache names. */
export interface HttpTarget {
  readonly kind: 'ac' | 'cas';
  /** What stands before; empty for most clients. */
  readonly instanceName: string;
  /** Lower-case hex of a SHA-256: Bazel's digests, or a key of the client's own in that form. */
  readonly name: string;
}

const TARGET = /^\/(?:(.+)\/)?(ac|cas)\/([^/]*)$/;
const SHA256_HEX = /^[0-9a-f]{64}$/;

/** `/cas/{hash}`, `/ac/{hash}`, or either below `/{instance}`; NOT_FOUND for any other path. */
export function parseHttpTarget(url: string): HttpTarget {
  const path = url.replace(/[?#].*$/s, '');
  const [, encodedInstance = '', kind, name = ''] = TARGET.exec(path) ?? [];
  if (kind !== 'ac' && kind !== 'cas') {
    throw notFound(`${quote(path)} is nothing here: expected /cas/{hash} or /ac/{hash}`);
  }
  if (!SHA256_HEX.test(name)) {
    throw invalidArgument(`${quote(name)} is not the lower-case hexadecimal of a SHA-256`);
  }
  const instanceName = decoded(encodedInstance);
  checkInstanceName(instanceName);
  return { kind, instanceName, name };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw invalidArgument(`${quote(text)} in the path is not percent-encoded UTF-8`, { cause });
  }
}
