import { invalidArgument, notFound } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import { checkInstanceName } from '../../core/resource-name.ts';
import { checkWebDavName } from './webdav-name.ts';

/** What a path of the HTTP cache names. */
export interface HttpTarget {
  readonly kind: 'ac' | 'cas' | 'webdav';
  /** What stands before; empty for most clients. */
  readonly instanceName: string;
  /**
   * Below /ac and /cas, the lower-case hex of a SHA-256: Bazel's digests, or a key of the client's own in that form.
   * Below /webdav a path of the client's own; a folder's is empty or ends in a slash.
   */
  readonly name: string;
}

const WEBDAV = /^\/(?:(.+?)\/)?webdav(?:\/(.*))?$/;
const HASHED = /^\/(?:(.+)\/)?(ac|cas)\/([^/]*)$/;
const SHA256_HEX = /^[0-9a-f]{64}$/;

/** `/cas/{hash}`, `/ac/{hash}`, `/webdav/{path}`, or any below `/{instance}`; NOT_FOUND for any other path. */
export function parseHttpTarget(url: string): HttpTarget {
  const path = url.replace(/[?#].*$/s, '');
  const webDav = WEBDAV.exec(path);
  if (webDav !== null) {
    const [, instance = '', name = ''] = webDav;
    return { kind: 'webdav', instanceName: decodedInstance(instance), name: checkWebDavName(decoded(name)) };
  }
  const [, instance = '', kind, name = ''] = HASHED.exec(path) ?? [];
  if (kind !== 'ac' && kind !== 'cas') {
    throw notFound(`${quote(path)} is nothing here: expected /cas/{hash}, /ac/{hash} or /webdav/{path}`);
  }
  if (!SHA256_HEX.test(name)) {
    throw invalidArgument(`${quote(name)} is not the lower-case hexadecimal of a SHA-256`);
  }
  return { kind, instanceName: decodedInstance(instance), name };
}

function decodedInstance(encoded: string): string {
  const instanceName = decoded(encoded);
  checkInstanceName(instanceName);
  return instanceName;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw invalidArgument(`${quote(text)} in the path is not percent-encoded UTF-8`, { cause });
  }
}
