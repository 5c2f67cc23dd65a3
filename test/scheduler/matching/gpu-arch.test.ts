import { describe, expect, test } from 'vitest';
import { gpuArchRuns, parseGpuArch, parseRequestedGpuArch } from '../../../scheduler/matching/gpu-arch.ts';
import { thrown } from '../../setup/rejection.ts';

describe('gpuArchRuns', () => {
  test.each([
    ['sm_80', 'sm_80', true],
    ['sm_86', 'sm_80', true],
    ['sm_80', 'sm_86', false],
    ['sm_90', 'sm_80', false],
    ['sm_75', 'sm_80', false],
    ['sm_90', 'sm_90a', true],
    ['sm_103', 'sm_100', true],
    ['sm_103', 'sm_100a', false],
    ['sm_103', 'sm_100f', true],
    ['sm_120', 'sm_100', false],
  ])('a device of %s runs code for %s: %s', (device, wanted, runs) => {
    expect(gpuArchRuns(parseGpuArch(device)!, parseGpuArch(wanted)!)).toBe(runs);
  });
});

test.each(['', 'sm_', 'sm_8', 'sm_1234', 'compute_80', 'SM_80', 'sm_80x', ' sm_80', 'sm_80 '])(
  'refuses %j as an architecture',
  (text) => {
    expect(parseGpuArch(text)).toBeUndefined();
    expect(thrown(() => parseRequestedGpuArch(text)).message).toBe(
      `platform property gpu.arch is ${JSON.stringify(text)}, expected a compute capability such as sm_80 or sm_90a`,
    );
  },
);
