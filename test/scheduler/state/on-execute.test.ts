import { describe, expect, test } from 'vitest';
import { unpackAny } from '../../../core/error-details.ts';
import { ExecutionStage_Value } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { RetryInfo } from '../../../proto/gen/google/rpc/error_details.ts';
import { thrown } from '../../setup/rejection.ts';
import { gpu, offered } from '../matching/workers.ts';
import { StateBench } from './state-bench.ts';

describe('joining', () => {
  test('an action that is under way is not run a second time', () => {
    const bench = new StateBench();
    bench.join('w');
    const first = bench.execute('a');
    expect(bench.execute('a').name).toBe(first.name);
    bench.accept(bench.offer());
    const third = bench.execute('a');
    expect(third.name).toBe(first.name);
    expect(third.stage).toBe(ExecutionStage_Value.EXECUTING);
    expect(bench.offers()).toEqual([]);
    expect(bench.state.joinedTotal).toBe(2);
  });

  test.each([
    ['another action', 'b', {}],
    ['another instance', 'a', { instanceName: 'other' }],
    ['do_not_cache', 'a', { doNotCache: true }],
  ])('%s runs by itself', (_, actionName, action) => {
    const bench = new StateBench();
    bench.join('w');
    const first = bench.execute('a');
    expect(bench.execute(actionName, action).name).not.toBe(first.name);
    expect(bench.offers()).toHaveLength(2);
  });

  test('actions with do_not_cache do not join each other', () => {
    const bench = new StateBench();
    bench.join('w');
    const first = bench.execute('a', { doNotCache: true });
    expect(bench.execute('a', { doNotCache: true }).name).not.toBe(first.name);
  });

  test('skip_cache_lookup joins what is under way', () => {
    const bench = new StateBench();
    const first = bench.execute('a');
    expect(bench.execute('a', { skipCacheLookup: true }).name).toBe(first.name);
  });

  test('a run that ended after the cache was asked answers, an older one does not', () => {
    const bench = new StateBench();
    bench.join('w');
    const first = bench.execute('a');
    const askedMs = bench.nowMs;
    bench.nowMs += 10;
    bench.finish(bench.accept(bench.offer()));
    const late = bench.execute('a', { lookedUpAtMs: askedMs });
    expect([late.name, late.response?.message]).toEqual([first.name, 'ran']);
    expect(bench.execute('a', { lookedUpAtMs: bench.nowMs + 1 }).name).not.toBe(first.name);
  });

  test('a run whose result was not cached does not answer those who come after it', () => {
    const bench = new StateBench();
    bench.join('w');
    const first = bench.execute('a');
    const offer = bench.accept(bench.offer());
    bench.commit(offer);
    bench.prepared(offer, undefined, false);
    expect(bench.execute('a', { lookedUpAtMs: 0 }).name).not.toBe(first.name);
  });

  test('a more urgent request makes the run it joins more urgent', () => {
    const bench = new StateBench();
    bench.execute('other');
    const slow = bench.execute('a', { priority: 10 });
    bench.execute('a', { priority: -10 });
    bench.join('w', { slots: 1 });
    expect(bench.offer().operationName).toBe(slow.name);
  });
});

describe('refusing', () => {
  test('says at once what no worker has', () => {
    const bench = new StateBench();
    bench.join('w');
    bench.pass(6_000);
    const error = thrown(() => bench.execute('a', { platform: { OSFamily: 'plan9' } }));
    expect(error.code).toBe(Code.FAILED_PRECONDITION);
    expect(error.message).toBe(
      'none of 1 workers can run this action; on the nearest, w, "OSFamily" is "linux", wanted "plan9"',
    );
    expect(bench.state.operations.size).toBe(0);
    expect(bench.journal.size).toBe(0);
  });

  test('asks to come back while the scheduler is too young to know all workers', () => {
    const bench = new StateBench();
    bench.join('w');
    bench.nowMs += 2_000;
    const error = thrown(() => bench.execute('a', { platform: { 'gpu.count': '1' } }));
    expect(error.code).toBe(Code.UNAVAILABLE);
    expect(error.message).toBe(
      'none of 1 workers can run this action; on the nearest, w, it has no GPU, wanted gpu.count=1; ' +
        'the scheduler has just started and may not know all workers yet',
    );
    const retry = unpackAny(RetryInfo, 'google.rpc.RetryInfo', error.details[0]!);
    expect(retry?.retryDelay).toEqual({ seconds: 3, nanos: 0 });
  });

  test('waits for a worker where none is known at all', () => {
    const bench = new StateBench();
    const { name } = bench.execute('a', { platform: { OSFamily: 'linux' } });
    bench.join('w');
    expect(bench.offer().operationName).toBe(name);
  });

  test('counts on workers that take nothing just now', () => {
    const bench = new StateBench();
    bench.join('w', { gpus: [gpu('g', 'sm_90')], properties: offered({ pool: ['gpu'] }) });
    bench.pass(6_000);
    bench.beat('w', { unhealthyReason: 'scratch is full' });
    const { stage } = bench.execute('a', { platform: { pool: 'gpu', 'gpu.arch': 'sm_90' } });
    expect(stage).toBe(ExecutionStage_Value.QUEUED);
    expect(bench.offers()).toEqual([]);
    bench.beat('w');
    expect(bench.offers()).toHaveLength(1);
  });

  test('takes no more than the queue may hold', () => {
    const bench = new StateBench({ operationsQueuedMax: 2 });
    bench.execute('a');
    bench.execute('b');
    const error = thrown(() => bench.execute('c'));
    expect([error.code, error.message]).toEqual([
      Code.RESOURCE_EXHAUSTED,
      '2 operations are queued, the most that is accepted',
    ]);
    expect(error.details).toHaveLength(1);
    expect(bench.execute('a').stage).toBe(ExecutionStage_Value.QUEUED);
  });

  test('takes no more different platforms than it can look at', () => {
    const bench = new StateBench({ platformsQueuedMax: 1 });
    bench.execute('a', { platform: { pool: 'x' } });
    bench.execute('b', { platform: { pool: 'x' } });
    const error = thrown(() => bench.execute('c', { platform: { pool: 'y' } }));
    expect([error.code, error.message]).toEqual([
      Code.RESOURCE_EXHAUSTED,
      'operations of 1 different platforms are queued, the most that is accepted',
    ]);
  });
});
