import { readFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { quote } from '../quote.ts';
import type { ConfigSetting } from './config-settings.ts';

/** Largest configuration file; a real one has a few hundred lines. */
const FILE_BYTES_MAX = 1024 * 1024;

/** What a configuration file says. */
export interface ConfigFile {
  /** Values by {@link ConfigSetting.fileKey}. */
  readonly values: ReadonlyMap<string, unknown>;
  /** What is wrong with the file itself, for people. */
  readonly problems: readonly string[];
}

/** Reads a YAML file of the given settings. Problems are collected, not thrown: others are reported with them. */
export function readConfigFile(file: string, settings: readonly ConfigSetting[]): ConfigFile {
  const values = new Map<string, unknown>();
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return { values, problems: [`${file}: cannot be read: ${(error as Error).message}`] };
  }
  if (Buffer.byteLength(text) > FILE_BYTES_MAX) {
    return { values, problems: [`${file}: is larger than ${FILE_BYTES_MAX} bytes`] };
  }
  const document = parseDocument(text);
  if (document.errors.length > 0) {
    return { values, problems: document.errors.map(({ message }) => `${file}: ${firstLine(message)}`) };
  }
  const problems: string[] = [];
  const keys = new Set(settings.map(({ fileKey }) => fileKey));
  const sections = new Set(
    settings.flatMap(({ path }) => path.slice(0, -1).map((_, i) => path.slice(0, i + 1).join('.'))),
  );
  const visit = (value: unknown, parent: string): void => {
    if (!isMapping(value)) {
      problems.push(`${file}: ${parent === '' ? 'the file' : parent} is not a mapping of keys to values`);
      return;
    }
    for (const [name, member] of Object.entries(value)) {
      const key = parent === '' ? name : `${parent}.${name}`;
      if (keys.has(key)) values.set(key, member);
      else if (sections.has(key)) visit(member, key);
      else problems.push(`${file}: unknown key ${quote(key)}`);
    }
  };
  // An empty file, or one of comments only, is null.
  const content: unknown = document.toJS();
  if (content !== null) visit(content, '');
  return { values, problems };
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
