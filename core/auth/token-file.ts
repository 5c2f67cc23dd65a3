import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DirectorySync } from '../directory-sync.ts';
import { failedPrecondition, notFound } from '../error.ts';
import { quote } from '../quote.ts';
import { type TokenRecord, tokenFileSchema } from './token-record.ts';

/** For its owner alone: names and hashes are nobody else's business. */
const MODE = 0o600;
/** Far above what the largest list of tokens takes. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;

/** The tokens in a file; NOT_FOUND when there is no file, FAILED_PRECONDITION when it is not one of tokens. */
export async function readTokenFile(path: string): Promise<readonly TokenRecord[]> {
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > FILE_BYTES_MAX)
      throw failedPrecondition(`token file ${quote(path)}: larger than ${FILE_BYTES_MAX} bytes`);
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw notFound(`token file ${quote(path)} is not there`, { cause });
  }
  const parsed = tokenFileSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data.tokens;
  const [issue] = parsed.error.issues;
  throw failedPrecondition(
    `token file ${quote(path)}: ${issue?.path.join('.') || 'the file'}: ${issue?.message ?? 'malformed'}`,
  );
}

/** Puts these tokens in place of a file's, whole or not at all, and durably. */
export async function writeTokenFile(path: string, tokens: readonly TokenRecord[]): Promise<void> {
  const staged = `${path}.${randomUUID()}`;
  try {
    const file = await open(staged, 'wx', MODE);
    try {
      await file.writeFile(`${JSON.stringify({ version: 1, tokens }, undefined, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(staged, path);
    await using folders = new DirectorySync();
    await folders.sync(dirname(path));
  } finally {
    await rm(staged, { force: true });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What is no JSON is no file of tokens either, which the schema says.
    return undefined;
  }
}
