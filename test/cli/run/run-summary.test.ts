import { describe, expect, it } from 'vitest';
import { phaseTimes, summaryLine } from '../../../cli/run/run-summary.ts';
import {
  type DeepPartial,
  ExecuteResponse,
} from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';

const at = (ms: number) => ({ seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 });

const executionMetadata = {
  worker: 'w1',
  queuedTimestamp: at(0),
  workerStartTimestamp: at(1_500),
  inputFetchStartTimestamp: at(1_500),
  inputFetchCompletedTimestamp: at(1_520),
  executionStartTimestamp: at(1_520),
  executionCompletedTimestamp: at(3_520),
};

function summary(response: DeepPartial<ExecuteResponse>): string {
  return summaryLine(ExecuteResponse.fromPartial(response), 3_600);
}

describe('summaryLine', () => {
  it('names worker and phases of a run', () => {
    expect(summary({ result: { executionMetadata } })).toBe(
      'ran in 3.60 s on w1 (queued 1.50 s, inputs 20 ms, command 2.00 s)',
    );
  });

  it('says no more than hit for a hit', () => {
    expect(summary({ cachedResult: true, result: { executionMetadata } })).toBe('hit in 3.60 s');
  });

  it('names an exit code that is not 0', () => {
    expect(summary({ result: { exitCode: 2 } })).toBe('ran in 3.60 s, exit code 2');
  });
});

describe('phaseTimes', () => {
  it('leaves out what the worker did not tell', () => {
    expect(phaseTimes(undefined)).toEqual({});
  });
});
