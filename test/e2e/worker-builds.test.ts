import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Digest } from '../../core/digest.ts';
import { describeStrict } from '../worker/describe-strict.ts';
import { RunningWorker } from '../worker/running-worker.ts';

// What people build must build in the strict sandbox: its filter, its root image and its limits are in nobody's way.

const fixture = (name: string): string =>
  readFileSync(join(import.meta.dirname, '../worker/fixtures', name), 'utf8');

describeStrict('builds in the strict sandbox', () => {
  let worker: RunningWorker;
  beforeAll(async () => {
    worker = await RunningWorker.start();
  });
  afterAll(async () => {
    await worker?.[Symbol.asyncDispose]();
  });

  test('a C++ program with threads compiles, links and runs', async () => {
    const inputs = { 'hello.cc': fixture('hello.cc') };
    const script = 'g++ -O2 -pthread -o hello hello.cc && ./hello';
    expect(await worker.shell(script, { inputs })).toBe('hello from a thread\n');
  });

  test('an object compiled twice is the same to the byte', async () => {
    const digests = new Set<string>();
    for (const _time of [1, 2]) {
      const { result } = await worker.run({
        arguments: ['g++', '-g', '-c', '-o', 'hello.o', 'hello.cc'],
        inputs: { 'hello.cc': fixture('hello.cc') },
        command: { outputPaths: ['hello.o'] },
      });
      digests.add(Digest.fromMessage(result!.outputFiles[0]!.digest).hash);
    }
    expect(digests.size).toBe(1);
  });

  test('make builds in parallel', async () => {
    const inputs = {
      Makefile: fixture('hello.mk'),
      'a.c': 'int b(void); int main(void) { return b(); }\n',
      'b.c': '#include <stdio.h>\nint b(void) { return puts("made") < 0; }\n',
    };
    expect(await worker.shell('make -s -j2 && ./hello', { inputs })).toBe('made\n');
  });

  test('Python starts processes and uses shared memory', async () => {
    const inputs = { 'pool.py': fixture('pool.py') };
    expect(await worker.shell('/usr/bin/python3 pool.py', { inputs })).toBe('6\n');
  });

  test('Go builds and runs, where it is installed', async (context) => {
    const path = '/usr/local/go/bin:/usr/lib/go/bin:/usr/bin:/bin';
    const environment = { PATH: path, GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local', GO111MODULE: 'off' };
    const present = await worker.shell('command -v go > /dev/null && echo yes || echo no', { environment });
    if (present === 'no\n') context.skip('no go in /usr/local/go, /usr/lib/go or /usr/bin');
    const inputs = { 'hello.go': fixture('hello.go') };
    expect(await worker.shell('go run hello.go', { inputs, environment })).toBe('hello from go\n');
  });

  test('tar unpacks, and git works on what it is given', async () => {
    const script = `
      mkdir a && echo text > a/f && tar cf - a | tar xf - -C /tmp && cat /tmp/a/f &&
      git init -q r && cd r && git -c user.name=a -c user.email=b commit -q --allow-empty -m first && git log --format=%s`;
    expect(await worker.shell(script)).toBe('text\nfirst\n');
  });
});
