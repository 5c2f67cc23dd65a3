import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bazel, type BazelRun } from '../setup/bazel.ts';
import { IngotProcess } from './cli-process.ts';

const SUMMARY = 'shard 1\nshard 2\nshard 3\nshard 4\nshard 1\nrun\n';
/** Compiles, links, archives, the genrule, both tree actions and the test: what leaves the client in a cold build. */
const ACTIONS_MIN = 9;

describe('a real Bazel', () => {
  let data: string;
  let farm: IngotProcess;
  let grpc: string;
  let http: string;

  beforeAll(async () => {
    data = await mkdtemp(join(tmpdir(), 'ingot-bazel-farm-'));
    farm = new IngotProcess(['up', '--data', data, '--grpc', '127.0.0.1:0', '--http', '127.0.0.1:0']);
    const endpoints = new Map(
      (await farm.line('ready')).split(' ').map((word) => word.split('=') as [string, string]),
    );
    grpc = endpoints.get('grpc') ?? '';
    http = endpoints.get('http') ?? '';
  });

  afterAll(async () => {
    expect((await farm.stop()).code).toBe(0);
    await rm(data, { recursive: true, force: true });
  });

  const succeeded = (run: BazelRun) => expect(run.exitCode, run.output).toBe(0);

  it('builds and tests on the farm, and after a clean everything is a remote cache hit', async () => {
    await using bazel = await Bazel.create();
    const flags = [`--remote_executor=grpc://${grpc}`, '--remote_timeout=60', '//...'];

    const cold = await bazel.run('test', ...flags);
    succeeded(cold);
    expect(cold.output).toContain('PASSED');
    expect(cold.processes.get('remote'), cold.output).toBeGreaterThanOrEqual(ACTIONS_MIN);
    expect(cold.processes.has('remote cache hit')).toBe(false);
    expect(await bazel.output('tree/summary.txt')).toBe(SUMMARY);
    expect(await bazel.output('gen/table.txt')).toBe('1 1\n2 4\n3 9\n4 16\n5 25\n');

    succeeded(await bazel.run('clean'));
    const warm = await bazel.run('test', ...flags);
    succeeded(warm);
    expect(warm.output).toMatch(/greeting_test\s+\(cached\) PASSED/);
    expect(warm.processes.get('remote cache hit'), warm.output).toBe(cold.processes.get('remote'));
    expect(warm.processes.has('remote')).toBe(false);
    expect(await bazel.output('tree/summary.txt')).toBe(SUMMARY);

    await writeFile(join(bazel.workspace, 'app/expected.txt'), 'hello, somebody else\n');
    const changed = await bazel.run('test', ...flags);
    expect(changed.exitCode, changed.output).toBe(3); // built, and a test failed
    // The test, and the action by which Bazel 4 writes its XML; nothing is compiled again.
    expect(changed.processes.get('remote'), changed.output).toBe(2);
  });

  it('fetches nothing it does not need with --remote_download_minimal', async () => {
    await using bazel = await Bazel.create();
    const flags = [`--remote_executor=grpc://${grpc}`, '--remote_download_minimal', '//app/...', '//gen/...'];
    succeeded(await bazel.run('build', ...flags));
    await expect(bazel.output('gen/table.txt')).rejects.toThrow('ENOENT');
    succeeded(await bazel.run('test', ...flags));
  });

  it.each(['gRPC', 'HTTP'])('shares results over %s with --remote_cache only', async (protocol) => {
    const instance = `only-${protocol}`;
    const address =
      protocol === 'gRPC' ? [`--remote_cache=grpc://${grpc}`] : [`--remote_cache=http://${http}/${instance}`];
    const flags = [...address, `--remote_instance_name=${instance}`, '--spawn_strategy=local', '//...'];

    await using first = await Bazel.create();
    const cold = await first.run('test', ...flags);
    succeeded(cold);
    expect(cold.processes.has('remote cache hit'), cold.output).toBe(false);
    expect(cold.processes.get('local')).toBeGreaterThanOrEqual(ACTIONS_MIN);

    succeeded(await first.run('clean'));
    const warm = await first.run('test', ...flags);
    succeeded(warm);
    expect(warm.processes.get('remote cache hit'), warm.output).toBe(cold.processes.get('local'));
    expect(warm.processes.has('local')).toBe(false);
    expect(await first.output('tree/summary.txt')).toBe(SUMMARY);
  });
});
