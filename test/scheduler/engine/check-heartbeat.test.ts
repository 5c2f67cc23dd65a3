import { expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { WorkerHeartbeat } from '../../../proto/gen/ingot/v1/bus.ts';
import { checkHeartbeat } from '../../../scheduler/engine/check-heartbeat.ts';
import { thrown } from '../../setup/rejection.ts';
import { gpu, workerOffer } from '../matching/workers.ts';

const sound = WorkerHeartbeat.create({
  workerId: 'worker-1_b',
  incarnation: 'x',
  capacity: workerOffer('w', { gpus: [gpu('a', 'sm_80'), gpu('b', 'sm_80')] }).capacity,
});

test('takes what a sound worker sends', () => {
  expect(() => checkHeartbeat(sound)).not.toThrow();
});

test.each([
  [{ workerId: '' }, 'heartbeat of worker "": expected an id of letters, digits, dashes and underscores'],
  [
    { workerId: 'a.b' },
    'heartbeat of worker "a.b": expected an id of letters, digits, dashes and underscores',
  ],
  [
    { workerId: 'a.*' },
    'heartbeat of worker "a.*": expected an id of letters, digits, dashes and underscores',
  ],
  [{ incarnation: '' }, 'heartbeat of worker worker-1_b: it names no incarnation'],
  [{ capacity: undefined }, 'heartbeat of worker worker-1_b: it states no capacity'],
  [
    { capacity: workerOffer('w', { gpus: [gpu('a', 'sm_80'), gpu('a', 'sm_80')] }).capacity },
    'heartbeat of worker worker-1_b: its GPUs have no ids of their own',
  ],
  [
    { capacity: workerOffer('w', { gpus: [gpu('', 'sm_80')] }).capacity },
    'heartbeat of worker worker-1_b: its GPUs have no ids of their own',
  ],
])('refuses %j', (changes, message) => {
  const error = thrown(() => checkHeartbeat({ ...sound, ...changes }));
  expect([error.code, error.message]).toEqual([Code.INVALID_ARGUMENT, message]);
});
