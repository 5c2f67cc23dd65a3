import { describe, expect, it } from 'vitest';
import { main } from '../../../cli/program.ts';
import { packAny } from '../../../core/error-details.ts';
import {
  type DeepPartial,
  ExecuteOperationMetadata,
  ExecuteResponse,
  ExecutionStage_Value as Stage,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Operation } from '../../../proto/gen/google/longrunning/operations.ts';
import { CacheStatus, FarmStatus } from '../../../proto/gen/ingot/v1/farm.ts';
import { CapturedStream } from '../captured-stream.ts';
import { scriptedFarm } from './scripted-farm.ts';

const PACKAGE = 'build.bazel.remote.execution.v2';

function operation(
  name: string,
  metadata: DeepPartial<ExecuteOperationMetadata>,
  response?: DeepPartial<ExecuteResponse>,
): Operation {
  return Operation.fromPartial({
    name,
    done: response !== undefined,
    metadata: packAny(
      ExecuteOperationMetadata,
      `${PACKAGE}.ExecuteOperationMetadata`,
      ExecuteOperationMetadata.fromPartial(metadata),
    ),
    ...(response && {
      result: {
        $case: 'response',
        value: packAny(ExecuteResponse, `${PACKAGE}.ExecuteResponse`, ExecuteResponse.fromPartial(response)),
      },
    }),
  });
}

const STATUS = FarmStatus.fromPartial({
  version: '0.1.0',
  uptime: { seconds: 65 },
  bus: 'in process',
  queued: 1,
  executing: 2,
  completed: 3,
  actionCacheHits: 4,
  joined: 5,
  workers: [
    {
      workerId: 'w1',
      hostName: 'h',
      capacity: { slots: 4, cpuMillis: 4000, memoryBytes: 8 * 2 ** 30, gpus: [{ id: '0', arch: 'sm_90' }] },
      free: { slots: 3 },
      properties: [
        { name: 'sandbox', value: 'strict' },
        { name: 'toolchain', value: 'cuda-13.5-abcdef012345' },
      ],
    },
    { workerId: 'w2', hostName: 'h', draining: true },
    { workerId: 'w3', hostName: 'h', unhealthyReason: 'disk full' },
  ],
});

const OPERATIONS = [
  operation('op-run', {
    stage: Stage.EXECUTING,
    partialExecutionMetadata: { worker: 'w1' },
    actionDigest: { hash: 'ab'.repeat(32), sizeBytes: 140 },
    stdoutStreamName: 'logs/op-run/stdout',
    stderrStreamName: 'logs/op-run/stderr',
  }),
  operation('op-wait', { stage: Stage.QUEUED }),
  operation(
    'op-done',
    { stage: Stage.COMPLETED },
    { result: { exitCode: 3, stdoutRaw: Buffer.from('out\n'), stderrRaw: Buffer.from('err\n') } },
  ),
  operation('op-failed', { stage: Stage.COMPLETED }, { status: { code: 4, message: 'took too long' } }),
];

async function ingot(endpoint: string, ...argv: string[]) {
  const [stdout, stderr] = [new CapturedStream(), new CapturedStream()];
  const io = { environment: { INGOT_TOKEN: 's3cret' }, cwd: '/', stdout, stderr };
  const exitCode = await main([...argv, '--endpoint', endpoint], io);
  return { exitCode, stdout: stdout.text, stderr: stderr.text };
}

const NUMBERED = ['aaaa1111', 'aaaa2222'].map((first) =>
  operation(`operations/${first}-7095-4a8f-a14b-201bab99b2dc`, { stage: Stage.EXECUTING }),
);

describe('ingot status', () => {
  it('shows the cache where the farm can tell', async () => {
    const shown = async (cache: Parameters<typeof CacheStatus.fromPartial>[0]) => {
      const { endpoint } = await scriptedFarm({
        status: { ...STATUS, cache: CacheStatus.fromPartial(cache) },
      });
      return (await ingot(endpoint, 'status')).stdout.split('\n')[2];
    };
    expect(await shown({})).toBe('cache: no action result was asked for yet');
    expect(await shown({ storedBytes: 3 * 2 ** 30, blobs: 12, actionResultsMissed: 1 })).toBe(
      'cache: 3.0 GiB, 12 blobs, 0 % of 1 action results found',
    );
    expect(
      await shown({
        storedBytes: 2 ** 20,
        storedBytesMax: 2 ** 30,
        blobs: 3,
        actionResultsFound: 2,
        actionResultsMissed: 1,
      }),
    ).toBe('cache: 1.0 MiB of 1.0 GiB, 3 blobs, 67 % of 3 action results found');
  });

  it('shows the farm, its workers and every page of operations', async () => {
    const { endpoint } = await scriptedFarm({ status: STATUS, operations: OPERATIONS });
    const { exitCode, stdout } = await ingot(endpoint, 'status');
    expect(exitCode).toBe(0);
    expect(stdout.split('\n')).toEqual([
      `ingot 0.1.0 at ${endpoint}, up 1 min 05 s, bus: in process`,
      '1 queued, 2 executing; since the start 3 completed, 4 found in the cache, 5 joined',
      '',
      'WORKER  HOST  STATE              SLOTS  CAPACITY                         SANDBOX  TOOLCHAINS',
      'w1      h     ready              1/4    4 cores, 8.0 GiB, 1 GPU (sm_90)  strict   cuda-13.5-abcdef012345',
      'w2      h     draining           0/0',
      'w3      h     unwell: disk full  0/0',
      '',
      'OPERATION  STAGE      WORKER  ACTION        OUTCOME',
      'op-run     executing  w1      abababababab',
      'op-wait    queued',
      'op-done    done                             exit code 3',
      'op-failed  failed                           DEADLINE_EXCEEDED',
      '',
    ]);
  });

  it('answers in JSON', async () => {
    const { endpoint } = await scriptedFarm({ status: STATUS, operations: OPERATIONS });
    const status = JSON.parse((await ingot(endpoint, 'status', '--json')).stdout);
    expect(status).toMatchObject({
      version: '0.1.0',
      queued: 1,
      workers: [{ id: 'w1' }, { id: 'w2' }, { id: 'w3' }],
    });
    expect(status.operations[0]).toEqual({
      name: 'op-run',
      stage: 'executing',
      worker: 'w1',
      action: `${'ab'.repeat(32)}/140`,
      outcome: '',
    });
  });

  it('sends INGOT_TOKEN as a bearer token', async () => {
    const { endpoint, credentials } = await scriptedFarm({ status: STATUS });
    await ingot(endpoint, 'status');
    expect([...credentials]).toEqual(['Bearer s3cret']);
  });
});

describe('ingot cancel', () => {
  it('asks for each operation to be stopped', async () => {
    const farm = await scriptedFarm({ status: STATUS, operations: OPERATIONS });
    const { exitCode, stdout } = await ingot(farm.endpoint, 'cancel', 'op-run', 'op-wait');
    expect([exitCode, stdout]).toEqual([0, 'asked to cancel op-run\nasked to cancel op-wait\n']);
    expect(farm.cancelled).toEqual(['op-run', 'op-wait']);
  });

  it('says that one has ended', async () => {
    const farm = await scriptedFarm({ status: STATUS, operations: OPERATIONS });
    const { exitCode, stdout } = await ingot(farm.endpoint, 'cancel', 'op-done');
    expect([exitCode, stdout, farm.cancelled]).toEqual([0, 'op-done has ended already\n', []]);
  });

  it('takes how an id begins, when it is the only one', async () => {
    const farm = await scriptedFarm({ status: STATUS, operations: NUMBERED });
    const { stdout } = await ingot(farm.endpoint, 'cancel', 'aaaa1111');
    expect(stdout).toBe(`asked to cancel ${NUMBERED[0]?.name}\n`);
    const both = await ingot(farm.endpoint, 'cancel', 'aaaa');
    expect([both.exitCode, both.stderr]).toEqual([
      2,
      'error: operation "aaaa": 2 operations begin like this, give more of it\n',
    ]);
    expect(farm.cancelled).toEqual([NUMBERED[0]?.name]);
    expect((await ingot(farm.endpoint, 'status')).stdout).toMatch(
      /\naaaa1111 +executing\naaaa2222 +executing\n/,
    );
  });

  it('says which one is not there', async () => {
    const { endpoint } = await scriptedFarm({ status: STATUS });
    const { exitCode, stderr } = await ingot(endpoint, 'cancel', 'nope');
    expect([exitCode, stderr]).toEqual([66, 'error: there is no operation nope\n']);
  });
});

describe('ingot logs', () => {
  it('shows what a finished operation wrote', async () => {
    const { endpoint } = await scriptedFarm({ status: STATUS, operations: OPERATIONS });
    expect(await ingot(endpoint, 'logs', 'op-done')).toEqual({
      exitCode: 0,
      stdout: 'out\n',
      stderr: 'err\n',
    });
  });

  it('shows what a running operation has written so far, and ends', async () => {
    const logs = { 'logs/op-run/stdout': 'so far\n', 'logs/op-run/stderr': '' };
    const { endpoint } = await scriptedFarm({ status: STATUS, operations: OPERATIONS, logs });
    expect(await ingot(endpoint, 'logs', 'op-run')).toEqual({ exitCode: 0, stdout: 'so far\n', stderr: '' });
  });

  it('follows a running operation to its end, and shows the rest from the result', async () => {
    const logs = { 'logs/op-run/stdout': 'so far\n', 'logs/op-run/stderr': '' };
    const operations = [...OPERATIONS];
    const { endpoint } = await scriptedFarm({ status: STATUS, operations, logs });
    const ended = ingot(endpoint, 'logs', '-f', 'op-run');
    setTimeout(() => {
      operations[0] = operation(
        'op-run',
        { stage: Stage.COMPLETED },
        { result: { exitCode: 0, stdoutRaw: Buffer.from('so far\nand more\n') } },
      );
    }, 300);
    expect(await ended).toEqual({ exitCode: 0, stdout: 'so far\nand more\n', stderr: '' });
  });

  it('writes JSON lines', async () => {
    const { endpoint } = await scriptedFarm({ status: STATUS, operations: OPERATIONS });
    expect((await ingot(endpoint, 'logs', 'op-done', '--json')).stdout).toBe(
      '{"stream":"stdout","text":"out\\n"}\n{"stream":"stderr","text":"err\\n"}\n',
    );
  });

  it('shows what an operation had written that ended without a result', async () => {
    const streams = { stdoutStreamName: 'logs/x/stdout' };
    const ended = { stage: Stage.COMPLETED, ...streams };
    const operations = [operation('op-gone', ended, { status: { code: 1, message: 'cancelled' } })];
    const logs = { 'logs/x/stdout': 'so far\n' };
    const { endpoint } = await scriptedFarm({ status: STATUS, operations, logs });
    const { stdout, stderr } = await ingot(endpoint, 'logs', 'op-gone');
    expect([stdout, stderr]).toEqual(['so far\n', 'the action failed: cancelled\n']);
  });

  it('says that an operation failed, and why', async () => {
    const { endpoint } = await scriptedFarm({ status: STATUS, operations: OPERATIONS });
    const { stderr } = await ingot(endpoint, 'logs', 'op-failed');
    expect(stderr).toBe('the action failed: took too long\n');
  });
});
