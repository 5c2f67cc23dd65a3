import { Digest } from '../../core/digest.ts';
import { isIngotError } from '../../core/error.ts';
import { UsageError } from '../usage-error.ts';

/** `HASH/SIZE` as a person typed it. */
export function parseDigest(text: string): Digest {
  const [, hash, size] = /^([0-9a-f]+)\/([0-9]{1,16})$/.exec(text) ?? [];
  const expected = `digest ${JSON.stringify(text)}: expected HASH/SIZE, as \`ingot upload\` prints it`;
  if (hash === undefined || size === undefined) throw new UsageError(expected);
  try {
    return Digest.of(hash, Number(size));
  } catch (error) {
    throw isIngotError(error) ? new UsageError(`${expected} (${error.message})`) : error;
  }
}
