import { HeaderField } from './header-field.ts';

const PSEUDO: readonly (readonly [string, string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
];

const NAMES = `accept-language accept-ranges accept access-control-allow-origin age allow authorization
cache-control content-disposition content-encoding content-language content-length content-location content-range
content-type cookie date etag expect expires from host if-match if-modified-since if-none-match if-range
if-unmodified-since last-modified link location max-forwards proxy-authenticate proxy-authorization range referer
refresh retry-after server set-cookie strict-transport-security transfer-encoding user-agent vary via
www-authenticate`;

/** The fields that HPACK knows by numbers 1 to 61 (RFC 7541, appendix A); the first one here has number 1. */
export const staticTable: readonly HeaderField[] = [
  ...PSEUDO.map(([name, value]) => new HeaderField(name, value)),
  ...NAMES.split(/\s+/).map((name) => new HeaderField(name, '')),
];
