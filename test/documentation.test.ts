import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const DOCUMENTS = [
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'README.md',
  'docs/deploy.md',
  'docs/clients.md',
  'docs/sandbox.md',
  'docs/security.md',
];
/** A path of this repository in backquotes or a link: a known folder, then a file or a folder. */
const PATH =
  /[`(]((?:core|cache|scheduler|worker|cli|proto|test|bench|docs|examples)\/[\w./-]*|[A-Z]+\.md|docker-compose\.yml)[`)]/g;

describe.each(DOCUMENTS)('%s', (document) => {
  const text = readFileSync(join(ROOT, document), 'utf8');

  it('names only files that exist', () => {
    const named = [...text.matchAll(PATH)]
      .map(([, path]) => path ?? '')
      .filter((path) => path !== 'proto/gen');
    const folder = document.includes('/') ? [ROOT, join(ROOT, 'docs')] : [ROOT];
    expect(named.filter((path) => !folder.some((base) => existsSync(join(base, path))))).toEqual([]);
  });
});

it('ARCHITECTURE.md is short enough to be read, and names files of every role', () => {
  const text = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
  expect(text.split('\n').length).toBeLessThanOrEqual(200);
  for (const role of ['cache', 'scheduler', 'worker', 'cli', 'core'])
    expect(text).toMatch(new RegExp(`\`${role}/[\\w-/]+\\.ts\``));
});
