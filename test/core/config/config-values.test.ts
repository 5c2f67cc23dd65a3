import { describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { byteSize, count, duration, hostPort } from '../../../core/config/config-values.ts';

function problem(type: z.ZodType, value: unknown): string | undefined {
  return type.safeParse(value).error?.issues[0]?.message;
}

describe('byteSize', () => {
  test.for([
    ['0', 0],
    [0, 0],
    [4096, 4096],
    ['4096', 4096],
    ['512B', 512],
    ['1kB', 1000],
    ['10GiB', 10 * 2 ** 30],
    ['10gib', 10 * 2 ** 30],
    ['1.5 MiB', 1.5 * 2 ** 20],
    ['2TB', 2e12],
    [' 1KiB ', 1024],
  ] as const)('%j is %d bytes', ([text, bytes]) => {
    expect(byteSize().parse(text)).toBe(bytes);
  });

  test.for(['', 'x', '-1', '1e3', '10G', '10 Gi B', '1,5MiB', '.5GiB', 'GiB', 'Infinity', '99999999TiB', -1])(
    '%j is refused',
    (value) => {
      expect(problem(byteSize(), value)).toBe('expected a size such as 512MiB, 10GiB or 4096');
    },
  );

  test('keeps to its bounds', () => {
    const type = byteSize({ min: 1024, max: 2048 });
    expect(problem(type, '1KiB')).toBeUndefined();
    expect(problem(type, '2KiB')).toBeUndefined();
    expect(problem(type, '1023')).toBe('expected 1024 to 2048 bytes, got 1023');
    expect(problem(type, '2049')).toBe('expected 1024 to 2048 bytes, got 2049');
  });
});

describe('duration', () => {
  test.for([
    ['0', 0],
    [0, 0],
    ['500ms', 500],
    ['30s', 30_000],
    ['0.5s', 500],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['1d', 86_400_000],
  ] as const)('%j is %d ms', ([text, ms]) => {
    expect(duration().parse(text)).toBe(ms);
  });

  test.for(['', '30', 30, '-1s', '1 h', '1w', '1H', 's', '1s2', '1..5s'])('%j is refused', (value) => {
    expect(problem(duration(), value)).toBe('expected a time with its unit such as 500ms, 30s or 1h30m');
  });

  test('keeps to its bounds', () => {
    expect(problem(duration({ min: 1000, max: 2000 }), '2s')).toBeUndefined();
    expect(problem(duration({ min: 1000, max: 2000 }), '3s')).toBe('expected 1000 to 2000 ms, got 3000');
    expect(problem(duration({ min: 1000 }), '0')).toBe(
      `expected 1000 to ${Number.MAX_SAFE_INTEGER} ms, got 0`,
    );
  });
});

describe('hostPort', () => {
  test.for([
    ['127.0.0.1:8980', '127.0.0.1', 8980],
    ['localhost:0', 'localhost', 0],
    ['cache.farm.example:443', 'cache.farm.example', 443],
    ['[::1]:8980', '::1', 8980],
    ['[::]:65535', '::', 65535],
  ] as const)('%j', ([text, host, port]) => {
    expect(hostPort().parse(text)).toEqual({ host, port });
  });

  test.for([
    '',
    ':8980',
    'localhost',
    'localhost:',
    'localhost:65536',
    'localhost:x',
    '::1:8980',
    'grpc://a:1',
    'a b:1',
    'a:1/x',
    'u@a:1',
  ])('%j is refused', (text) => {
    expect(problem(hostPort(), text)).toBe('expected HOST:PORT such as 127.0.0.1:8980 or [::1]:8980');
  });
});

describe('count', () => {
  test('is a whole number within its bounds', () => {
    const type = count({ min: 1, max: 3 });
    expect([1, 3].map((value) => type.parse(value))).toEqual([1, 3]);
    for (const value of [0, 4, 1.5, '2']) expect(problem(type, value)).toBeDefined();
  });
});
