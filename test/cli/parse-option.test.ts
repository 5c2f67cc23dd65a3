import { describe, expect, it } from 'vitest';
import { parseEndpoint } from '../../cli/client/farm-address.ts';
import { parseDurationOption, parsePairs } from '../../cli/parse-option.ts';
import { UsageError } from '../../cli/usage-error.ts';

describe('parseDurationOption', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5m', 90_000],
    ['1h30m', 5_400_000],
    ['2d', 172_800_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDurationOption(text, '--timeout')).toBe(ms);
  });

  it.each(['10', '', 's', '1 m', '-5s', '1y', '5s later'])('refuses %j', (text) => {
    expect(() => parseDurationOption(text, '--timeout')).toThrow(
      new UsageError(
        `--timeout: ${JSON.stringify(text)} is not a time with its unit, as in 30s, 10m or 1h30m`,
      ),
    );
  });

  it('refuses no time at all', () => {
    expect(() => parseDurationOption('0s', '--timeout')).toThrow(
      new UsageError('--timeout: expected more than no time'),
    );
  });
});

describe('parsePairs', () => {
  it('keeps everything behind the first equals sign', () => {
    expect(parsePairs(['A=b=c', 'D='], '--env')).toEqual([
      { name: 'A', value: 'b=c' },
      { name: 'D', value: '' },
    ]);
  });

  it('takes the value of a bare name from the fallback', () => {
    expect(parsePairs(['HOME'], '--env', () => '/h')).toEqual([{ name: 'HOME', value: '/h' }]);
  });

  it.each([
    [['x'], undefined, '--p: "x" is not NAME=VALUE'],
    [['=x'], undefined, '--p: "=x" is not NAME=VALUE'],
    [['X'], () => undefined, '--p: "X" is not NAME=VALUE, and no such variable is set here'],
  ])('refuses %j', (texts, fallback, message) => {
    expect(() => parsePairs(texts, '--p', fallback)).toThrow(new UsageError(message));
  });
});

describe('parseEndpoint', () => {
  it.each(['127.0.0.1:8980', 'build.example:1', '[::1]:65535', 'grpc://h:8980'])('takes %s', (text) => {
    expect(parseEndpoint(text, '--endpoint')).toEqual({
      address: text.replace(/^grpcs?:\/\//, ''),
      tls: text.startsWith('grpcs://'),
    });
  });

  it.each(['h', 'h:', 'h:0', 'h:65536', 'http://h:1', 'h:1/x', '::1:80', ''])('refuses %j', (text) => {
    expect(() => parseEndpoint(text, '--endpoint')).toThrow(
      new UsageError(`--endpoint: ${JSON.stringify(text)} is not HOST:PORT, as in 127.0.0.1:8980`),
    );
  });
});
