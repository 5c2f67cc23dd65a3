import { describe, expect, it } from 'vitest';
import { encodeAction } from '../../../cli/client/action-message.ts';
import { ActionRunner, type PreparedAction } from '../../../cli/client/action-runner.ts';
import type { FarmConnection } from '../../../cli/client/farm-connection.ts';
import { Digest } from '../../../core/digest.ts';
import { failedPrecondition, notFound } from '../../../core/error.ts';
import { missingBlobs, packAny } from '../../../core/error-details.ts';
import {
  ActionResult,
  type DeepPartial,
  ExecuteResponse,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Operation } from '../../../proto/gen/google/longrunning/operations.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { MemoryBlobStore } from '../memory-blob-store.ts';

const input = { digest: Digest.ofBytes(Buffer.from('input')), bytes: Buffer.from('input') };
const message = encodeAction({
  arguments: ['true'],
  environmentVariables: [],
  outputPaths: [],
  platform: [],
  inputRootDigest: input.digest,
  timeoutMs: undefined,
  doNotCache: false,
});
const action: PreparedAction = {
  message,
  tree: {
    rootDigest: input.digest,
    blobs: new Map([[input.digest.key, input]]),
    totals: { fileCount: 0, sizeBytes: 0 },
  },
  doNotCache: false,
};
const MISSING = { details: [missingBlobs([input.digest])] };

function done(response: DeepPartial<ExecuteResponse>): Operation {
  const value = packAny(
    ExecuteResponse,
    'build.bazel.remote.execution.v2.ExecuteResponse',
    ExecuteResponse.fromPartial(response),
  );
  return Operation.fromPartial({ name: 'op', done: true, result: { $case: 'response', value } });
}

/** A farm that answers Execute with the next of these, and has the cached result or none. */
function farmOf(answers: (Operation | Error)[], cached?: DeepPartial<ActionResult>) {
  const store = new MemoryBlobStore();
  const asked: string[] = [];
  const farm = {
    address: { endpoint: '', instanceName: 'i', security: { tls: false } },
    blobStore: store,
    actionCache: {
      getActionResult: async () => {
        asked.push('get');
        if (cached === undefined) throw notFound('no result');
        return ActionResult.fromPartial(cached);
      },
    },
    execution: {
      async *execute({ skipCacheLookup }: { skipCacheLookup: boolean }) {
        asked.push(skipCacheLookup ? 'execute anew' : 'execute');
        const answer = answers.shift();
        // What a farm that loses blobs does: they are gone when it says so.
        if (answer !== undefined && !(answer instanceof Error && answer.message === 'refused'))
          store.blobs.clear();
        if (answer instanceof Error) throw answer;
        if (answer !== undefined) yield answer;
      },
    },
  } as unknown as FarmConnection;
  return { runner: new ActionRunner(farm), store, asked };
}

describe('ActionRunner', () => {
  it('answers from the action cache without an upload', async () => {
    const { runner, store, asked } = farmOf([], { exitCode: 0 });
    expect(await runner.run(action)).toMatchObject({ cachedResult: true, result: { exitCode: 0 } });
    expect([asked, store.written]).toEqual([['get'], []]);
  });

  it('uploads inputs, Command and Action and executes when there is no result', async () => {
    const { runner, store, asked } = farmOf([done({ result: { exitCode: 3 } })]);
    expect((await runner.run(action)).result?.exitCode).toBe(3);
    expect(asked).toEqual(['get', 'execute']);
    const blobs = [input, ...message.blobs].map(({ digest }) => digest.hash);
    expect(store.written.toSorted()).toEqual(blobs.sort());
  });

  it('does not look for a result when told not to, or when none is kept', async () => {
    const anew = farmOf([done({})]);
    await anew.runner.run(action, { skipCacheLookup: true });
    expect(anew.asked).toEqual(['execute anew']);
    const uncached = farmOf([done({})]);
    await uncached.runner.run({ ...action, doNotCache: true });
    expect(uncached.asked).toEqual(['execute']);
  });

  it.each([
    ['as an error', failedPrecondition('inputs are missing', MISSING)],
    ['in the response', done({ status: { code: Code.FAILED_PRECONDITION, message: 'missing', ...MISSING } })],
  ])('uploads again, once, when the farm says %s that blobs are missing', async (_where, answer) => {
    const { runner, store, asked } = farmOf([answer, done({ result: { exitCode: 0 } })]);
    const reasons: string[] = [];
    await runner.run(action, { events: { onReconnect: (why) => reasons.push(why) } });
    expect(asked).toEqual(['get', 'execute', 'execute']);
    expect(store.written).toHaveLength(6);
    expect(reasons).toEqual(['the farm lost inputs meanwhile']);
  });

  it('gives up when they are missing a second time', async () => {
    const error = failedPrecondition('inputs are missing', MISSING);
    await expect(farmOf([error, error]).runner.run(action)).rejects.toBe(error);
  });

  it('hands on a refusal for another reason', async () => {
    const refused = failedPrecondition('refused');
    const { runner, asked } = farmOf([refused]);
    await expect(runner.run(action)).rejects.toBe(refused);
    expect(asked).toEqual(['get', 'execute']);
  });
});
