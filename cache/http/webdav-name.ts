import { invalidArgument } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';

/** Bytes of a name below /webdav: sccache's are 70, and a name is part of a database key. */
const NAME_BYTES_MAX = 1024;
const CONTROL = /\p{Cc}/u;

/** Passes on a decoded path below /webdav; INVALID_ARGUMENT when it is none that is stored or listed. */
export function checkWebDavName(name: string): string {
  if (Buffer.byteLength(name) > NAME_BYTES_MAX) {
    throw invalidArgument(`the path ${quote(name)} has more than ${NAME_BYTES_MAX} bytes`);
  }
  const segments = isFolderName(name) ? name.split('/').slice(0, -1) : name.split('/');
  for (const segment of segments) {
    if (segment === '' || segment === '.' || segment === '..' || CONTROL.test(segment)) {
      throw invalidArgument(`the path ${quote(name)} has the segment ${quote(segment)}`);
    }
  }
  return name;
}

/** The name of a folder, not of a value. */
export function isFolderName(name: string): boolean {
  return name === '' || name.endsWith('/');
}
