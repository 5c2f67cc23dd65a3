import { describe, expect, it } from 'vitest';
import { ExecutionClient } from '../../../cli/client/execution-client.ts';
import { Digest } from '../../../core/digest.ts';
import { failedPrecondition, notFound, unavailable } from '../../../core/error.ts';
import { packAny } from '../../../core/error-details.ts';
import type { ServiceClient } from '../../../core/rpc/rpc-service.ts';
import {
  ExecuteOperationMetadata,
  ExecuteResponse,
  type ExecutionDefinition,
  ExecutionStage_Value,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Operation } from '../../../proto/gen/google/longrunning/operations.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';

const PACKAGE = 'build.bazel.remote.execution.v2';
const request = { instanceName: 'i', actionDigest: Digest.ofBytes(Buffer.from('a')), skipCacheLookup: false };

function running(name: string): Operation {
  const metadata = ExecuteOperationMetadata.fromPartial({ stage: ExecutionStage_Value.EXECUTING });
  return Operation.fromPartial({
    name,
    metadata: packAny(ExecuteOperationMetadata, `${PACKAGE}.ExecuteOperationMetadata`, metadata),
  });
}

function done(name: string, exitCode: number): Operation {
  const response = ExecuteResponse.fromPartial({ result: { exitCode } });
  return Operation.fromPartial({
    name,
    done: true,
    result: { $case: 'response', value: packAny(ExecuteResponse, `${PACKAGE}.ExecuteResponse`, response) },
  });
}

type Step = Operation | Error;

/** A farm that answers each stream with the next list of steps, and notes how it was asked. */
function scripted(...streams: Step[][]) {
  const asked: string[] = [];
  const next = async function* (what: string): AsyncGenerator<Operation> {
    asked.push(what);
    const steps = streams.shift();
    if (steps === undefined) throw new Error('asked too often');
    for (const step of steps) {
      if (step instanceof Error) throw step;
      yield step;
    }
  };
  const execution = {
    execute: () => next('execute'),
    waitExecution: ({ name }: { name: string }) => next(`wait ${name}`),
  } as unknown as ServiceClient<ExecutionDefinition>;
  return { asked, client: new ExecutionClient({ execution }), execution };
}

describe('ExecutionClient', () => {
  it('gives the response and passes on what happens meanwhile', async () => {
    const { client, asked } = scripted([running('op'), done('op', 3)]);
    const stages: (number | undefined)[] = [];
    const response = await client.execute(request, {
      onUpdate: ({ metadata }) => stages.push(metadata?.stage),
    });
    expect(response.result?.exitCode).toBe(3);
    expect(stages).toEqual([ExecutionStage_Value.EXECUTING, undefined]);
    expect(asked).toEqual(['execute']);
  });

  it('waits for the operation by name when the stream breaks', async () => {
    const { client, asked } = scripted(
      [running('op'), unavailable('gone')],
      [unavailable('still gone')],
      [done('op', 0)],
    );
    const reasons: string[] = [];
    await client.execute(request, { onReconnect: (why) => reasons.push(why) });
    expect(asked).toEqual(['execute', 'wait op', 'wait op']);
    expect(reasons).toEqual(['gone', 'still gone']);
  });

  it('takes a stream that ends too early for a broken one', async () => {
    const { client, asked } = scripted([running('op')], [done('op', 0)]);
    await client.execute(request);
    expect(asked).toEqual(['execute', 'wait op']);
  });

  it('executes again when the farm has forgotten the operation', async () => {
    const { client, asked } = scripted(
      [running('op'), unavailable('gone')],
      [notFound('no such operation')],
      [running('op2'), done('op2', 0)],
    );
    await client.execute(request);
    expect(asked).toEqual(['execute', 'wait op', 'execute']);
  });

  it('tries to execute again while the farm is away', async () => {
    const { client, asked } = scripted([unavailable('warming up')], [done('op', 0)]);
    await client.execute(request);
    expect(asked).toEqual(['execute', 'execute']);
  });

  it('gives up once the farm has been away for too long', async () => {
    let nowMs = 0;
    const { execution } = scripted(
      [running('op'), unavailable('gone')],
      [unavailable('refused')],
      [unavailable('refused')],
    );
    const client = new ExecutionClient({ execution, reconnectMs: 1000, now: () => (nowMs += 400) });
    await expect(client.execute(request)).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'wait for operation op: tried for 1 s: refused',
    });
  });

  it('hands on any other error', async () => {
    const { client } = scripted([failedPrecondition('no worker has gpu=1')]);
    await expect(client.execute(request)).rejects.toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: 'no worker has gpu=1',
    });
  });

  it('refuses an operation that is done without a response', async () => {
    const { client } = scripted([Operation.fromPartial({ name: 'op', done: true })]);
    await expect(client.execute(request)).rejects.toMatchObject({
      code: Code.INTERNAL,
      message: 'operation op is done without an ExecuteResponse',
    });
  });
});
