import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { main } from '../../../cli/program.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { CapturedStream } from '../captured-stream.ts';

async function run(cwd: string, ...argv: readonly string[]) {
  const [stdout, stderr] = [new CapturedStream(), new CapturedStream()];
  const environment = { INGOT_DATA: join(cwd, 'data') };
  const exitCode = await main(['token', ...argv], { environment, cwd, stdout, stderr });
  return { exitCode, stdout: stdout.text, stderr: stderr.text };
}

describe('ingot token', () => {
  it('prints a token once, keeps its hash, lists it without, and revokes it', async () => {
    await using folder = await tempFolder();
    const { path } = folder;
    const flags = ['--name', 'ci', '--role', 'publisher', '--instances', 'a, b,', '--expires', '90d'];
    const created = await run(path, 'create', ...flags);
    expect(created.exitCode).toBe(0);
    const token = created.stdout.trim();
    expect(token).toMatch(/^ingot_[A-Za-z0-9_-]{43}$/);
    const file = join(path, 'data/tokens.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readFile(file, 'utf8')).not.toContain(token);
    expect(created.stderr).not.toContain(token);

    const listed = await run(path, 'list');
    expect(listed.stdout).toMatch(
      /^NAME +ROLE +INSTANCES +CREATED +EXPIRES\nci +publisher +a, b, \(unnamed\) +\d{4}-/,
    );
    expect(listed.stdout).not.toContain(token);

    expect(await run(path, 'revoke', 'ci')).toMatchObject({ exitCode: 0, stdout: 'revoked ci\n' });
    expect((await run(path, 'list')).stdout).toBe(`no tokens in ${file}\n`);
    expect(await run(path, 'revoke', 'ci')).toMatchObject({
      exitCode: 66,
      stderr: `error: there is no token "ci" in ${file}\n`,
    });
  });

  it('refuses a name that is taken, an unknown role, and an instance that can be none', async () => {
    await using folder = await tempFolder();
    const { path } = folder;
    const create = (...flags: readonly string[]) => run(path, 'create', ...flags);
    await create('--name', 'a', '--role', 'reader');
    expect((await create('--name', 'a', '--role', 'writer')).stderr).toBe(
      `error: there is a token "a" in ${join(path, 'data/tokens.json')} already\n`,
    );
    expect(await create('--name', 'b', '--role', 'admin')).toMatchObject({
      exitCode: 2,
      stderr: 'error: --role: "admin" is none of reader, writer, publisher, worker, scheduler\n',
    });
    expect(await create('--name', 'b c', '--role', 'reader')).toMatchObject({
      exitCode: 2,
      stderr: 'error: --name: expected 1 to 64 letters, digits, dots, dashes, underscores or @\n',
    });
    expect(await create('--name', 'b', '--role', 'reader', '--instances', '../x')).toMatchObject({
      exitCode: 2,
      stderr: 'error: --instances: instance name "../x": it has .. as a segment\n',
    });
  });
});
