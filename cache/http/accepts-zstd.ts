import type { IncomingHttpHeaders } from 'node:http';

/** True when the client names zstd in Accept-Encoding, and does not refuse it. */
export function acceptsZstd({ 'accept-encoding': accepted }: IncomingHttpHeaders): boolean {
  return String(accepted ?? '')
    .split(',')
    .some((coding) => /^\s*zstd\s*(?:;\s*q=(?:1|0?\.0*[1-9]|1\.0).*)?$/i.test(coding));
}
