import { expect, test } from 'vitest';
import type { ExecuteResponse } from '../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { ScrapedMetrics } from '../setup/scraped-metrics.ts';
import { executeResponse } from './execute-response.ts';
import { gpu } from './matching/workers.ts';
import { SchedulerUnderTest } from './scheduler-under-test.ts';

test('says how the farm stands', async () => {
  await using under = await SchedulerUnderTest.start();
  expect(await under.farm.getStatus({})).toMatchObject({
    version: '1.2.3',
    workers: [],
    queued: 0,
    executing: 0,
    completed: 0,
    bus: 'in process',
  });
  const finish = Promise.withResolvers<ExecuteResponse>();
  const gpus = [gpu('a', 'sm_80'), gpu('b', 'sm_90', 80, 'ECC errors')];
  await under.worker('w1', () => finish.promise, { slots: 2, cpuMillis: 2000 });
  await under.worker('w0', () => finish.promise, { slots: 1, gpus });
  await expect.poll(async () => (await under.farm.getStatus({})).workers.length).toBe(2);
  const all = Array.from({ length: 4 }, (_, index) => under.execute({ files: { x: `${index}` } }));
  await expect.poll(async () => (await under.farm.getStatus({})).executing).toBe(3);
  const status = await under.farm.getStatus({});
  expect(status).toMatchObject({
    queued: 1,
    workers: [
      {
        workerId: 'w0',
        hostName: 'w0.example',
        free: { slots: 0, gpus: [{ id: 'a' }] },
        capacity: { slots: 1 },
      },
      { workerId: 'w1', free: { slots: 0, cpuMillis: 0, memoryBytes: 2 ** 33 }, draining: false },
    ],
  });
  expect(status.workers.map(({ operationNames }) => operationNames.length)).toEqual([1, 2]);
  expect(Math.abs(status.workers[0]!.lastHeartbeat!.seconds - Date.now() / 1000)).toBeLessThan(5);
  finish.resolve(executeResponse());
  await Promise.all(all);
  await under.execute({ files: { x: '0' } });
  expect(await under.farm.getStatus({})).toMatchObject({
    queued: 0,
    executing: 0,
    completed: 4,
    actionCacheHits: 1,
    cache: undefined,
  });
});

test('counts operations, workers and slots for Prometheus', async () => {
  await using under = await SchedulerUnderTest.start();
  const finish = Promise.withResolvers<ExecuteResponse>();
  await under.worker('w0', () => finish.promise, { slots: 2 });
  const scrape = () => new ScrapedMetrics(under.metrics.text());
  await expect.poll(() => scrape().value('ingot_workers{state="ready"}')).toBe(1);
  const all = Array.from({ length: 3 }, (_, index) => under.execute({ files: { x: `${index}` } }));
  await expect.poll(() => scrape().value('ingot_operations{stage="queued"}')).toBe(1);
  expect(scrape().value('ingot_operations{stage="executing"}')).toBe(2);
  expect(scrape().value('ingot_worker_slots')).toBe(2);
  expect(scrape().value('ingot_worker_slots_used')).toBe(2);
  finish.resolve(executeResponse());
  await Promise.all(all);
  await under.execute({ files: { x: '0' } });
  expect(scrape().value('ingot_operations_completed_total')).toBe(3);
  expect(scrape().value('ingot_operations_cached_total')).toBe(1);
  expect(scrape().value('ingot_operations{stage="queued"}')).toBe(0);
});
