import { expect, test } from 'vitest';
import { type Candidate, chooseWorker } from '../../../scheduler/matching/choose-worker.ts';
import { gpu, requirement, workerOffer } from './workers.ts';

interface Given {
  readonly gpus?: number;
  readonly gpusLeased?: number;
  readonly slotsTaken?: number;
  readonly failedBefore?: boolean;
}

function candidate(
  workerId: string,
  { gpus = 0, gpusLeased = 0, slotsTaken = 0, failedBefore = false }: Given = {},
): Candidate {
  const devices = Array.from({ length: gpus }, (_, index) => gpu(`g${index}`, 'sm_80'));
  return {
    workerId,
    capacity: workerOffer(workerId, { gpus: devices }).capacity,
    inUse: {
      slots: slotsTaken,
      cpuMillis: slotsTaken * 1000,
      memoryBytes: 0,
      gpuIds: new Set(devices.slice(0, gpusLeased).map(({ id }) => id)),
    },
    failedBefore,
  };
}

const CPU = {};
const GPU = { 'gpu.count': '1' };

test.each([
  ['the least loaded', CPU, { a: { slotsTaken: 2 }, b: { slotsTaken: 1 }, c: { slotsTaken: 3 } }, 'b'],
  ['the first by id among equals', CPU, { b: {}, a: {}, c: {} }, 'a'],
  ['a CPU worker for a CPU action, however loaded', CPU, { a: { gpus: 2 }, b: { slotsTaken: 3 } }, 'b'],
  [
    'a GPU worker for a CPU action once no CPU worker has room',
    CPU,
    { a: { gpus: 2 }, b: { slotsTaken: 4 } },
    'a',
  ],
  ['the GPU worker with the fewest GPUs left', GPU, { a: { gpus: 4 }, b: { gpus: 4, gpusLeased: 3 } }, 'b'],
  ['one it did not fail on, however loaded', CPU, { a: { failedBefore: true }, b: { slotsTaken: 3 } }, 'b'],
  ['one it failed on, when there is no other', CPU, { a: { failedBefore: true }, b: { slotsTaken: 4 } }, 'a'],
  ['nobody without room', CPU, { a: { slotsTaken: 4 } }, undefined],
  ['nobody without a GPU', GPU, { a: {}, b: { gpus: 1, gpusLeased: 1 } }, undefined],
])('chooses %s', (_, wanted, workers, expected) => {
  const candidates = Object.entries<Given>(workers).map(([id, given]) => candidate(id, given));
  expect(chooseWorker(requirement(wanted), candidates)?.worker.workerId).toBe(expected);
});

test('says what the lease takes, down to the device', () => {
  const chosen = chooseWorker(requirement({ 'gpu.count': '1', cpu: '2' }), [
    candidate('a', { gpus: 2, gpusLeased: 1 }),
  ]);
  expect(chosen?.reserved).toEqual({ slots: 1, cpuMillis: 2000, memoryBytes: 0, gpus: [gpu('g1', 'sm_80')] });
});
