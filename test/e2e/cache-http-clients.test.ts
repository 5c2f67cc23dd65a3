import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sampleBytes } from '../cache/bytes.ts';
import { openCacheServer } from '../cache/cache-server.ts';
import { testSccache } from '../setup/test-sccache.ts';

const run = promisify(execFile);
const sccache = await testSccache();

let folder: string;
let server: Awaited<ReturnType<typeof openCacheServer>>;
let base: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ingot-e2e-'));
  server = await openCacheServer();
  const { port } = await server.listenHttp({ host: '127.0.0.1', port: 0 });
  base = `http://127.0.0.1:${port}`;
  await writeFile(join(folder, 'a.c'), '#include <stdio.h>\nint main() { puts("hi"); return 0; }\n');
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function areEqual(one: string, other: string): Promise<boolean> {
  return (await readFile(join(folder, one))).equals(await readFile(join(folder, other)));
}

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

  it('resumes a download, and asks again only for what has changed', async () => {
    const bytes = sampleBytes(1_000_000, 7);
    await writeFile(join(folder, 'file'), bytes);
    const url = `${base}/cas/${createHash('sha256').update(bytes).digest('hex')}`;
    await run('curl', ['-sSf', '-T', 'file', url], { cwd: folder });
    await writeFile(join(folder, 'part'), bytes.subarray(0, 300_000));
    await run('curl', ['-sSf', '-C', '-', '-o', 'part', url], { cwd: folder });
    expect(await areEqual('part', 'file')).toBe(true);
    const kept = ['--etag-save', 'tag', '--etag-compare', 'tag', '-o', 'whole', '-w', '%{http_code}'];
    await writeFile(join(folder, 'tag'), '');
    expect((await run('curl', ['-sSf', ...kept, url], { cwd: folder })).stdout).toBe('200');
    expect((await run('curl', ['-sSf', ...kept, url], { cwd: folder })).stdout).toBe('304');
  });
});

/** What ccache waited for each of its uploads, by its own log. */
function uploadMs(log: string): number[] {
  return [...log.matchAll(/Stored \S+ in http\S* \(([\d.]+) ms\)/g)].map(([, ms]) => Number(ms));
}

describe.each([
  ['the bazel layout', '', 'bazel'],
  ['the flat layout, below /webdav', '/team/webdav/ccache', 'flat'],
  ['folders, below /webdav', '/webdav', 'subdirs'],
])('ccache with %s', (_name, path, layout) => {
  it('takes what another machine compiled', async () => {
    const compile = async (machine: string, output: string): Promise<string> => {
      await mkdir(join(folder, machine));
      const env = {
        ...process.env,
        CCACHE_DIR: join(folder, machine),
        CCACHE_LOGFILE: join(folder, `${machine}.log`),
        CCACHE_REMOTE_STORAGE: `${base}${path}|layout=${layout}`,
      };
      await run('ccache', ['cc', '-c', 'a.c', '-o', output], { cwd: folder, env });
      return (await run('ccache', ['--print-stats'], { env })).stdout;
    };
    expect(await compile('first', 'a.o')).toMatch(/^remote_storage_miss\t1$/m);
    expect(await compile('second', 'b.o')).toMatch(/^remote_storage_hit\t1$/m);
    expect(await areEqual('a.o', 'b.o')).toBe(true);
    const waits = uploadMs(await readFile(join(folder, 'first.log'), 'utf8'));
    console.log(`ccache, ${layout}: uploads took ${waits.join(' and ')} ms`);
    expect(waits).toHaveLength(2);
    // A body that waits for the acknowledgement of its head takes 42 ms.
    expect(Math.min(...waits)).toBeLessThan(40);
  });
});

describe.skipIf(sccache === undefined)('sccache over WebDAV', () => {
  it('takes what another sccache server stored', async () => {
    const program = sccache ?? '';
    const env = {
      ...process.env,
      SCCACHE_WEBDAV_ENDPOINT: `${base}/team/webdav/sccache`,
      SCCACHE_SERVER_PORT: String(await freePort()),
      SCCACHE_IDLE_TIMEOUT: '60',
      XDG_CONFIG_HOME: folder,
      SCCACHE_DIR: join(folder, 'local'),
    };
    const call = async (...args: string[]) => (await run(program, args, { cwd: folder, env })).stdout;
    try {
      await call('cc', '-c', 'a.c', '-o', 'a.o');
      expect(await call('--show-stats')).toMatch(/^Cache misses +1$/m);
      await call('--stop-server');
      await call('--start-server');
      await call('--zero-stats');
      await call('cc', '-c', 'a.c', '-o', 'b.o');
      const stats = await call('--show-stats');
      console.log(stats);
      expect(stats).toMatch(/^Cache hits +1$/m);
      expect(stats).toMatch(/^Cache misses +0$/m);
      expect(stats).toMatch(/^Cache (read|write) errors +0$/m);
      expect(stats).toMatch(/^Cache location +webdav/m);
      expect(await areEqual('a.o', 'b.o')).toBe(true);
    } finally {
      await call('--stop-server').catch(() => undefined);
    }
  });
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
