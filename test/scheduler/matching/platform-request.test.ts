import { expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { parsePlatformRequest } from '../../../scheduler/matching/platform-request.ts';
import { thrown } from '../../setup/rejection.ts';

/** A platform from `name=value` strings. */
function platform(...pairs: string[]) {
  return {
    properties: pairs.map((pair) => {
      const at = pair.indexOf('=');
      return { name: pair.slice(0, at), value: pair.slice(at + 1) };
    }),
  };
}

test('an action without a platform takes one slot and asks for nothing else', () => {
  const nothing = { request: { slots: 1, cpuMillis: 0, memoryBytes: 0, gpus: [] }, properties: [] };
  expect(parsePlatformRequest(undefined)).toEqual(nothing);
  expect(parsePlatformRequest({ properties: [] })).toEqual(nothing);
});

test('typed properties become amounts and the others stay properties', () => {
  const { request, properties } = parsePlatformRequest(
    platform(
      'OSFamily=linux',
      'cpu=0.5',
      'memory=4GiB',
      'gpu.count=2',
      'gpu.arch=sm_80',
      'gpu.memory=16GiB',
      'x=1',
      'x=2',
    ),
  );
  const gpu = { id: '', arch: 'sm_80', memoryBytes: 2 ** 34, model: '', unhealthyReason: '' };
  expect(request).toEqual({ slots: 1, cpuMillis: 500, memoryBytes: 2 ** 32, gpus: [gpu, gpu] });
  expect(properties).toEqual(platform('OSFamily=linux', 'x=1', 'x=2').properties);
});

test.each([
  [['gpu.arch=sm_90'], 1],
  [['gpu.memory=1GiB'], 1],
  [['gpu.count=3'], 3],
  [['gpu.count=0'], 0],
])('%j asks for %i GPUs', (pairs, count) => {
  expect(parsePlatformRequest(platform(...pairs)).request.gpus).toHaveLength(count);
});

test.each([
  [['cpu=1', 'cpu=2'], 'platform property cpu is given twice'],
  [['=x'], 'platform has a property without a name'],
  [
    ['gpu.count=0', 'gpu.arch=sm_80'],
    'platform asks for gpu.count=0 and for gpu.arch, expected one or the other',
  ],
  [
    ['gpu.count=0', 'gpu.memory=1'],
    'platform asks for gpu.count=0 and for gpu.memory, expected one or the other',
  ],
  [['gpu.count=65'], 'platform property gpu.count is "65", expected a whole number from 0 to 64'],
  [
    ['gpu.arch=80'],
    'platform property gpu.arch is "80", expected a compute capability such as sm_80 or sm_90a',
  ],
  [['cpu=many'], 'platform property cpu is "many", expected a number of cores from 0.001 to 4096'],
  [[`x=${'y'.repeat(1025)}`], 'platform property "x" has 1025 characters, at most 1024 are accepted'],
  [
    Array.from({ length: 65 }, (_, index) => `p${index}=x`),
    'platform has 65 properties, at most 64 are accepted',
  ],
])('refuses %j', (pairs, message) => {
  const error = thrown(() => parsePlatformRequest(platform(...pairs)));
  expect(error.code).toBe(Code.INVALID_ARGUMENT);
  expect(error.message).toBe(message);
});
