import { describe, expect, it, type TestContext } from 'vitest';
import { tempFolder } from '../setup/temp-folder.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { IngotProcess, ingot } from './cli-process.ts';
import { sandboxLevel, UpFarm } from './up-farm.ts';

const ANY_PORT = ['--grpc', '127.0.0.1:0', '--http', '127.0.0.1:0'];

/** A command on the farm that says when it has begun. */
async function begun({ onTestFinished }: TestContext, farm: UpFarm, script: string): Promise<IngotProcess> {
  const run = new IngotProcess([
    'run',
    '--endpoint',
    farm.endpoint,
    '--',
    'sh',
    '-c',
    `echo begin; ${script}`,
  ]);
  onTestFinished(() => void run.child.kill('SIGKILL'));
  await run.line('begin');
  return run;
}

describe.concurrent('ingot up', () => {
  it('prints addresses, Bazel flags and sandbox, then one line that begins with ready; SIGTERM ends it with 0', async () => {
    await using farm = await UpFarm.start();
    const ended = await farm.process.stop('SIGTERM');
    expect([ended.code, ended.signal]).toEqual([0, null]);
    expect(ended.stdout).toContain(`--remote_executor=grpc://${farm.endpoint} `);
    expect(ended.stdout).toContain(`  sandbox     ${sandboxLevel}`);
    expect(ended.stdout).toMatch(
      /^ {2}bus {9}(a private \S*nats-server at 127\.0\.0\.1:\d+$|inside this process)/m,
    );
    expect(ended.stdout.split('\n').filter((line) => line.startsWith('ready'))).toHaveLength(1);
    expect(ended.stdout.split('\n').at(-2)).toMatch(/^ready grpc=127\.0\.0\.1:\d+ http=127\.0\.0\.1:\d+$/);
  });

  it('refuses a folder that another one holds, and serves on', async () => {
    await using farm = await UpFarm.start();
    const { data, endpoint } = farm;
    const second = await ingot(['up', '--data', data, ...ANY_PORT]);
    expect(second.code).toBe(78);
    expect(second.stderr).toContain(
      `error: ${data} is in use by process ${farm.process.child.pid}: stop it, or choose another folder (`,
    );
    expect((await ingot(['status', '--endpoint', endpoint])).code).toBe(0);
  });

  it.each([
    ['--grpc', 'gRPC'],
    ['--http', 'HTTP'],
  ])('names %s when that port is in use', async (flag, what) => {
    await using farm = await UpFarm.start();
    await using folder = await tempFolder();
    const second = await ingot(['up', '--data', folder.path, ...ANY_PORT, flag, farm.endpoint]);
    expect(second.code).toBe(78);
    expect(second.stderr).toBe(
      `error: listen for ${what} on ${farm.endpoint}: the port is in use by another process\n` +
        `hint: choose another with ${flag} HOST:PORT; port 0 takes a free one\n`,
    );
  });

  it('lets a running action finish after SIGTERM, and its client hears of it', async (context) => {
    await using farm = await UpFarm.start();
    const run = await begun(context, farm, 'sleep 2; echo end');
    expect((await farm.process.stop('SIGTERM')).code).toBe(0);
    expect(await run.ended).toMatchObject({ code: 0, stdout: 'begin\nend\n' });
  });

  it('ends at once at a second Ctrl-C', async (context) => {
    await using farm = await UpFarm.start();
    await begun(context, farm, 'sleep 60');
    farm.process.child.kill('SIGINT');
    const isDraining = () => farm.process.stderr.includes('draining; a second Ctrl-C ends at once');
    await waitUntil('it to drain', isDraining);
    // Within half a second it would count as an echo of the first.
    await new Promise((resolve) => setTimeout(resolve, 700));
    const startedMs = performance.now();
    expect((await farm.process.stop('SIGINT')).code).toBe(130);
    expect(performance.now() - startedMs).toBeLessThan(3_000);
  });

  it('answers a client that waited through kill -9 and restart', async (context) => {
    await using farm = await UpFarm.start();
    const run = await begun(context, farm, 'for i in 1 2 3; do echo line $i; sleep 1; done');
    await run.line('line 2');
    await farm.process.stop('SIGKILL');
    await using _again = await UpFarm.start({ data: farm.data, grpc: farm.endpoint });
    const ended = await run.ended;
    expect(ended).toMatchObject({ code: 0, stdout: 'begin\nline 1\nline 2\nline 3\n' });
    expect(ended.stderr).toContain('the farm is back');
  });
});
