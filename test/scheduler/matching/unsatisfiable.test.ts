import { expect, test } from 'vitest';
import { WorkerProperty_Treatment as Treatment } from '../../../proto/gen/ingot/v1/bus.ts';
import { shortfalls } from '../../../scheduler/matching/shortfall.ts';
import { describeUnsatisfiable } from '../../../scheduler/matching/unsatisfiable.ts';
import { gpu, offered, requirement, workerOffer } from './workers.ts';

const linux = workerOffer('linux-1');
const gpuWorker = workerOffer('gpu-1', { gpus: [gpu('a', 'sm_86', 24)] });
const MIB = 2 ** 20;

test.each([
  [
    { OSFamily: 'windows' },
    [linux],
    'none of 1 workers can run this action; on the nearest, linux-1, "OSFamily" is "linux", wanted "windows"',
  ],
  [
    { OSFamily: 'windows' },
    [workerOffer('w', { properties: offered({ OSFamily: ['linux', 'Linux'] }) })],
    'none of 1 workers can run this action; on the nearest, w, "OSFamily" is "linux" or "Linux", wanted "windows"',
  ],
  [
    { cpu: '8', memory: '16GiB' },
    [linux],
    `none of 1 workers can run this action; on the nearest, linux-1, cpu is 4, wanted 8; memory is ${8192 * MIB} bytes, wanted ${16384 * MIB}`,
  ],
  [
    { 'gpu.arch': 'sm_90' },
    [linux, gpuWorker],
    `none of 2 workers can run this action; on the nearest, gpu-1, it has sm_86 with ${24576 * MIB} bytes, wanted gpu.count=1 gpu.arch=sm_90`,
  ],
  [
    { 'gpu.arch': 'sm_90' },
    [linux],
    `none of 1 workers can run this action; on the nearest, linux-1, it has no GPU, wanted gpu.count=1 gpu.arch=sm_90`,
  ],
  [
    { 'gpu.arch': 'sm_90' },
    [gpuWorker],
    `none of 1 workers can run this action; on the nearest, gpu-1, it has sm_86 with ${24576 * MIB} bytes, wanted gpu.count=1 gpu.arch=sm_90`,
  ],
  [
    { OSFamily: 'linux', 'gpu.count': '1', 'container-image': 'docker://x' },
    [linux, gpuWorker],
    'none of 2 workers can run this action; on the nearest, gpu-1, "container-image" is none, wanted "docker://x"; ' +
      'where the hosts stand in for it, say so with --accept container-image to ingot up or ingot worker',
  ],
])('says of %j which worker is nearest and what it lacks', (wanted, workers, message) => {
  expect(describeUnsatisfiable(requirement(wanted), workers)).toBe(message);
});

test('does not offer to accept a property that some worker knows', () => {
  const knowing = workerOffer('knows', { properties: offered({ pool: ['b'] }), slots: 0 });
  expect(describeUnsatisfiable(requirement({ pool: 'a' }), [linux, knowing])).not.toContain('--accept');
});

test('lists a few shortfalls and counts the rest', () => {
  const wanted = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`p${index}`, 'x']));
  expect(describeUnsatisfiable(requirement(wanted), [linux])).toContain('; and 3 more; where the hosts');
});

test.each([
  ['gpu.count', { 'gpu.count': '2', 'gpu.arch': 'sm_80' }, [gpu('a', 'sm_80')]],
  ['gpu.count', { 'gpu.count': '1' }, [gpu('a', 'sm_80', 16, 'fell off the bus')]],
  ['gpu.arch', { 'gpu.arch': 'sm_90' }, [gpu('a', 'sm_80')]],
  ['gpu.memory', { 'gpu.memory': '32GiB' }, [gpu('a', 'sm_80')]],
])('names %s as what fails for %j', (property, wanted, gpus) => {
  const found = shortfalls(requirement(wanted as Record<string, string>), workerOffer('w', { gpus }));
  expect(found.map((shortfall) => shortfall.property)).toEqual([property]);
});

test('finds nothing lacking where everything is accepted', () => {
  const worker = workerOffer('w', { properties: offered({ 'container-image': [''] }, Treatment.ANY) });
  expect(shortfalls(requirement({ 'container-image': 'docker://x', cpu: '4' }), worker)).toEqual([]);
});
