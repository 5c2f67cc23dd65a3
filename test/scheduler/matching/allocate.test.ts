import { describe, expect, test } from 'vitest';
import { allocate } from '../../../scheduler/matching/allocate.ts';
import { gpu, requirement, workerOffer } from './workers.ts';

const free = { slots: 0, cpuMillis: 0, memoryBytes: 0, gpuIds: new Set<string>() };
const { capacity } = workerOffer('w');

describe('allocate', () => {
  test('an action that asks for nothing takes a slot and a core', () => {
    expect(allocate(requirement(), capacity, free)).toEqual({
      slots: 1,
      cpuMillis: 1000,
      memoryBytes: 0,
      gpus: [],
    });
  });

  test('on a worker with more slots than cores it takes its share, so that every slot can be used', () => {
    const eight = { ...capacity, slots: 8 };
    expect(allocate(requirement(), eight, free)?.cpuMillis).toBe(500);
    expect(allocate(requirement(), eight, { ...free, slots: 7, cpuMillis: 3500 })).toBeDefined();
    expect(allocate(requirement(), eight, { ...free, slots: 8, cpuMillis: 0 })).toBeUndefined();
  });

  test.each([
    [{ cpu: '4' }, free, true],
    [{ cpu: '4' }, { ...free, cpuMillis: 1 }, false],
    [{ cpu: '4.001' }, free, false],
    [{ memory: '8GiB' }, free, true],
    [{ memory: '8GiB' }, { ...free, memoryBytes: 1 }, false],
    [{}, { ...free, slots: 4 }, false],
    [{ 'gpu.count': '1' }, free, false],
  ])('%j with %j in use fits: %s', (wanted, inUse, fits) => {
    expect(allocate(requirement(wanted), capacity, inUse) !== undefined).toBe(fits);
  });
});

describe('GPUs', () => {
  const gpus = [
    gpu('a', 'sm_90', 80),
    gpu('b', 'sm_86', 24),
    gpu('c', 'sm_80', 40),
    gpu('d', 'sm_86', 24, 'ECC'),
  ];
  const ids = (wanted: Record<string, string>, leased: string[] = []) =>
    allocate(requirement(wanted), { ...capacity, gpus }, { ...free, gpuIds: new Set(leased) })?.gpus.map(
      ({ id }) => id,
    );

  test.each([
    ['the smallest that does', { 'gpu.count': '1' }, [], ['b']],
    ['not a leased one', { 'gpu.count': '1' }, ['b'], ['c']],
    ['one that runs the code', { 'gpu.arch': 'sm_90' }, [], ['a']],
    ['the same major version only', { 'gpu.arch': 'sm_80', 'gpu.count': '2' }, [], ['b', 'c']],
    ['with the memory', { 'gpu.memory': '32GiB' }, [], ['c']],
    ['all that are well', { 'gpu.count': '3' }, [], ['b', 'c', 'a']],
    ['none where too few are well', { 'gpu.count': '4' }, [], undefined],
    ['none where no minor is high enough', { 'gpu.arch': 'sm_87' }, [], undefined],
  ])('gives %s', (_, wanted, leased, expected) => {
    expect(ids(wanted as Record<string, string>, leased)).toEqual(expected);
  });
});
