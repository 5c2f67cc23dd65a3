import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sampleBytes } from '../cache/bytes.ts';
import { openCacheServer } from '../cache/cache-server.ts';

const run = promisify(execFile);

let folder: string;
let server: Awaited<ReturnType<typeof openCacheServer>>;
let base: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ingot-e2e-'));
  server = await openCacheServer();
  const { port } = await server.listenHttp({ host: '127.0.0.1', port: 0 });
  base = `http://127.0.0.1:${port}`;
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

describe('curl', () => {
  it('uploads and downloads a blob, from a file and from a pipe', async () => {
    for (const [index, how] of ['-T file', '-T - < file'].entries()) {
      const bytes = sampleBytes(3_000_000, index);
      await writeFile(join(folder, 'file'), bytes);
      const url = `${base}/cas/${createHash('sha256').update(bytes).digest('hex')}`;
      await run('sh', ['-c', `curl -sSf ${how} ${url}`], { cwd: folder });
      await run('curl', ['-sSf', '-o', 'back', url], { cwd: folder });
      expect((await readFile(join(folder, 'back'))).equals(bytes)).toBe(true);
      const { stdout } = await run('curl', ['-sSfI', url]);
      expect(stdout).toMatch(/content-length: 3000000/i);
    }
  });
});

describe('ccache with the bazel layout', () => {
  it('takes what another machine compiled', async () => {
    await writeFile(join(folder, 'a.c'), '#include <stdio.h>\nint main() { puts("hi"); return 0; }\n');
    const compile = async (machine: string, output: string): Promise<string> => {
      await mkdir(join(folder, machine));
      const env = {
        ...process.env,
        CCACHE_DIR: join(folder, machine),
        CCACHE_REMOTE_STORAGE: `${base}|layout=bazel`,
      };
      await run('ccache', ['cc', '-c', 'a.c', '-o', output], { cwd: folder, env });
      return (await run('ccache', ['--print-stats'], { env })).stdout;
    };
    expect(await compile('first', 'a.o')).toMatch(/^remote_storage_miss\t1$/m);
    expect(await compile('second', 'b.o')).toMatch(/^remote_storage_hit\t1$/m);
    expect((await readFile(join(folder, 'a.o'))).equals(await readFile(join(folder, 'b.o')))).toBe(true);
  });
});
