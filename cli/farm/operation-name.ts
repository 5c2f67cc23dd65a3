import type { IoOptions } from '../../core/io-options.ts';
import { quote } from '../../core/quote.ts';
import type { FarmConnection } from '../client/farm-connection.ts';
import { UsageError } from '../usage-error.ts';
import { listOperations } from './list-operations.ts';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Fewer characters would fit too many, and be right by chance. */
const PREFIX = /^[0-9a-f][0-9a-f-]{3,34}$/;
const SHORT_CHARACTERS = 8;

/** The first characters of an operation's id, for tables; a name without one stays as it is. */
export function shortOperationName(name: string): string {
  const id = idOf(name);
  return UUID.test(id) ? id.slice(0, SHORT_CHARACTERS) : name;
}

/** An operation's name from what a person typed: the whole name, the id at its end, or how the id begins. */
export async function findOperationName(
  farm: FarmConnection,
  text: string,
  options: IoOptions = {},
): Promise<string> {
  const { instanceName } = farm.address;
  if (UUID.test(text))
    return instanceName === '' ? `operations/${text}` : `${instanceName}/operations/${text}`;
  if (!PREFIX.test(text)) return text;
  const operations = (await listOperations(farm, options)) ?? [];
  const [found, ...others] = operations.map(({ name }) => name).filter((name) => idOf(name).startsWith(text));
  if (others.length > 0) {
    throw new UsageError(
      `operation ${quote(text)}: ${others.length + 1} operations begin like this, give more of it`,
    );
  }
  return found ?? text;
}

function idOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}
