import { describe, expect, it } from 'vitest';
import { cacheNodeAddresses } from '../../../cli/roles/cache-node-addresses.ts';

describe('the addresses of cache nodes', () => {
  it.each([
    ['a:8982', [{ host: 'a', port: 8982, tls: false, weight: 1 }]],
    [
      'a:8982, [::1]:1*2.5',
      [
        { host: 'a', port: 8982, tls: false, weight: 1 },
        { host: '::1', port: 1, tls: false, weight: 2.5 },
      ],
    ],
    [['grpcs://a:1', 'grpcs://b:1'], ['a', 'b'].map((host) => ({ host, port: 1, tls: true, weight: 1 }))],
  ])('takes %s', (value, expected) => {
    expect(cacheNodeAddresses().parse(value)).toEqual(expected);
  });

  it.each([
    ['a', 'expected HOST:PORT, grpcs://HOST:PORT, or HOST:PORT*WEIGHT, with commas between'],
    ['a:1,', 'expected HOST:PORT, grpcs://HOST:PORT, or HOST:PORT*WEIGHT, with commas between'],
    ['a:1*0', 'expected HOST:PORT, grpcs://HOST:PORT, or HOST:PORT*WEIGHT, with commas between'],
    ['a:1,b:1,a:1', 'expected each cache node once'],
    ['a:1,grpcs://b:1', 'expected grpcs:// before every cache node or before none'],
    [Array.from({ length: 65 }, (_, index) => `a:${index + 1}`).join(), 'expected at most 64 cache nodes'],
  ])('refuses %s', (value, message) => {
    expect(
      cacheNodeAddresses()
        .safeParse(value)
        .error?.issues.map((issue) => issue.message),
    ).toEqual([message]);
  });
});
