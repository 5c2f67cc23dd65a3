import { hostname } from 'node:os';
import { describe, expect, it } from 'vitest';
import { describeFarm } from '../../../cli/roles/describe-farm.ts';
import { FarmStatus } from '../../../proto/gen/ingot/v1/farm.ts';

const status = FarmStatus.fromPartial({
  workers: [
    {
      workerId: 'w',
      capacity: { slots: 2, cpuMillis: 2000, memoryBytes: 2 ** 30 },
      properties: [
        { name: 'image', value: 'host-1' },
        { name: 'toolchain', value: 'cuda-13.5-abc' },
      ],
    },
  ],
});

function lines(grpc: string, sandbox: 'strict' | 'none') {
  const probes =
    sandbox === 'none' ? [] : [{ name: 'write to /', expected: 'refused', seen: 'refused', passed: true }];
  return describeFarm({
    version: '0.1.0',
    data: '/d',
    endpoints: { grpc, http: grpc.replace('8980', '8981') },
    busExplanation: 'inside this process',
    worker: { workerId: 'w', sandbox, probes, limits: ['memory=cgroup v2'] },
    status,
  });
}

describe('describeFarm', () => {
  it('tells where things are, and the flags to paste into Bazel', () => {
    expect(lines('127.0.0.1:8980', 'strict')).toEqual([
      'ingot 0.1.0',
      '  data        /d',
      '  gRPC        127.0.0.1:8980',
      '  HTTP        http://127.0.0.1:8981 (/cas and /ac)',
      '  bus         inside this process',
      '  worker      w: 2 slots, 2 cores, 1.0 GiB, 0 GPUs',
      '  compilers   host-1, as --platform image=…',
      '  toolchains  cuda-13.5-abc',
      '  sandbox     strict; limits: memory=cgroup v2',
      '    SELF-TEST   EXPECTED  SEEN',
      '    write to /  refused   refused  ok',
      '',
      'Bazel, remote execution:',
      '  --remote_executor=grpc://127.0.0.1:8980 --remote_default_exec_properties=image=host-1',
      'Bazel, remote cache only:',
      '  --remote_cache=grpc://127.0.0.1:8980    or    --remote_cache=http://127.0.0.1:8981',
      '',
    ]);
  });

  it('says what no sandbox means', () => {
    expect(lines('127.0.0.1:8980', 'none')).toContain(
      '  sandbox     none: actions can do whatever this process can; limits: memory=cgroup v2',
    );
  });

  it.each(['0.0.0.0:8980', '[::]:8980'])('names this host where it listens on %s', (grpc) => {
    expect(lines(grpc, 'strict').join('\n')).toContain(`--remote_executor=grpc://${hostname()}:8980`);
  });
});
