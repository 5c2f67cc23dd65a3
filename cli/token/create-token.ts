import { dirname } from 'node:path';
import { changeTokenFile } from '../../core/auth/change-token-file.ts';
import { type TokenRecord, tokenRecordSchema } from '../../core/auth/token-record.ts';
import { newToken, tokenHash } from '../../core/auth/token-secret.ts';
import { callerRoleNames } from '../../core/caller.ts';
import { alreadyExists, isIngotError } from '../../core/error.ts';
import { quote } from '../../core/quote.ts';
import { checkInstanceName } from '../../core/resource-name.ts';
import type { CommandContext } from '../command-context.ts';
import { parseDurationOption } from '../parse-option.ts';
import { makeDataFolder } from '../roles/make-data-folder.ts';
import { UsageError } from '../usage-error.ts';
import { type TokenFileOptions, tokenPath } from './token-path.ts';

/** Of `ingot token create`. */
export interface CreateTokenOptions extends TokenFileOptions {
  readonly name: string;
  readonly role: string;
  /** With commas between; an empty item is the instance without a name. */
  readonly instances?: string;
  readonly expires?: string;
}

/** `ingot token create`: the token itself goes to stdout, once. */
export async function createToken(
  { io, printer }: CommandContext,
  options: CreateTokenOptions,
): Promise<void> {
  const path = tokenPath(options, io);
  const token = newToken();
  const record = recordOf(options, token, Date.now());
  await makeDataFolder(dirname(path));
  await changeTokenFile(path, (tokens) => {
    if (tokens.some(({ name }) => name === record.name)) {
      throw alreadyExists(`there is a token ${quote(record.name)} in ${path} already`);
    }
    return [...tokens, record];
  });
  printer.line(token);
  printer.note(`kept in ${path}: its hash, nothing else. It will not be shown again.`);
  const { name, role, instances, expires } = record;
  printer.result({ token, name, role, instances, expires, path });
}

function recordOf(
  { name, role, instances, expires }: CreateTokenOptions,
  token: string,
  nowMs: number,
): TokenRecord {
  const expiresMs = expires === undefined ? undefined : nowMs + parseDurationOption(expires, '--expires');
  const parsed = tokenRecordSchema.safeParse({
    name,
    role,
    ...(instances === undefined ? {} : { instances: parseInstances(instances) }),
    sha256: tokenHash(token),
    created: new Date(nowMs).toISOString(),
    ...(expiresMs === undefined ? {} : { expires: new Date(expiresMs).toISOString() }),
  });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue?.path[0] === 'role') {
    throw new UsageError(`--role: ${quote(role)} is none of ${callerRoleNames.join(', ')}`);
  }
  throw new UsageError(`--${issue?.path.join('.')}: ${issue?.message}`);
}

function parseInstances(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  for (const name of names) {
    try {
      checkInstanceName(name);
    } catch (error) {
      throw isIngotError(error) ? new UsageError(`--instances: ${error.message}`) : error;
    }
  }
  return names;
}
