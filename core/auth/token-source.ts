import { readFileSync } from 'node:fs';
import { failedPrecondition } from '../error.ts';
import { quote } from '../quote.ts';

/** How long a token that was read is used before the file is looked at again, since it may be renewed. */
const REREAD_MS = 5_000;

/** The token in a file, read again from time to time; FAILED_PRECONDITION when the file cannot be read or is empty. */
export function tokenFromFile(path: string): () => string {
  let token = read(path);
  let readMs = performance.now();
  return () => {
    if (performance.now() - readMs < REREAD_MS) return token;
    readMs = performance.now();
    try {
      token = read(path);
    } catch {
      // It is being replaced, or is gone: the last token is as good as it was, and the server says when it is not.
    }
    return token;
  };
}

function read(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw failedPrecondition(`read the token in ${quote(path)}: ${(cause as Error).message}`, { cause });
  }
  // A header cannot hold it, and an error from there would show it.
  if (!/^[\x21-\x7e]+$/.test(text)) throw failedPrecondition(`the file ${quote(path)} does not hold a token`);
  return text;
}
