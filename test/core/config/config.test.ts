import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { readConfig } from '../../../core/config/config.ts';
import { byteSize, duration, hostPort, keyValues } from '../../../core/config/config-values.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { thrown } from '../../setup/rejection.ts';

const schema = z.object({
  data: z.string(),
  grpc: hostPort().prefault('127.0.0.1:8980'),
  slots: z.number().int().min(1).default(4),
  drain: duration().prefault('30s'),
  verbose: z.boolean().default(false),
  accept: z.array(z.string()).default([]),
  cache: z
    .object({
      blobBytesMax: byteSize().prefault('1GiB'),
      folder: z.string().optional(),
    })
    .prefault({}),
});

async function yamlFile(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ingot-config-'));
  onTestFinished(async () => await rm(folder, { recursive: true }));
  const file = join(folder, 'ingot.yaml');
  await writeFile(file, text);
  return file;
}

describe('readConfig', () => {
  test('gives the defaults for what nobody says', () => {
    expect(readConfig({ schema, flags: { data: '/d' }, environment: {} })).toEqual({
      data: '/d',
      grpc: { host: '127.0.0.1', port: 8980 },
      slots: 4,
      drain: 30_000,
      verbose: false,
      accept: [],
      cache: { blobBytesMax: 2 ** 30 },
    });
  });

  test('lets flags win over the environment, that over the file, and that over defaults, one setting at a time', async () => {
    const file = await yamlFile('data: file\nslots: 1\ndrain: 1s\ncache:\n  folder: file\n');
    const config = readConfig({
      schema,
      flags: { data: 'flag' },
      environment: { INGOT_DATA: 'environment', INGOT_SLOTS: '2', INGOT_CACHE_FOLDER: 'environment' },
      yamlFile: file,
    });
    expect(config).toMatchObject({
      data: 'flag',
      slots: 2,
      drain: 1000,
      cache: { folder: 'environment', blobBytesMax: 2 ** 30 },
    });
  });

  test('reads numbers, booleans and lists from text', () => {
    const environment = { INGOT_SLOTS: '8', INGOT_VERBOSE: 'true', INGOT_ACCEPT: 'container-image, pool' };
    expect(readConfig({ schema, flags: { data: 'd' }, environment })).toMatchObject({
      slots: 8,
      verbose: true,
      accept: ['container-image', 'pool'],
    });
    expect(
      readConfig({ schema, flags: { data: 'd', verbose: true, slots: 3, accept: ['a,b'] }, environment }),
    ).toMatchObject({ slots: 3, verbose: true, accept: ['a,b'] });
  });

  test('takes nested settings by flag, environment and file', async () => {
    const read = (sources: object): unknown =>
      readConfig({ schema, flags: { data: 'd' }, environment: {}, ...sources }).cache.blobBytesMax;
    expect(read({ flags: { data: 'd', cacheBlobBytesMax: '2MiB' } })).toBe(2 ** 21);
    expect(read({ environment: { INGOT_CACHE_BLOB_BYTES_MAX: '3MiB' } })).toBe(3 * 2 ** 20);
    expect(read({ yamlFile: await yamlFile('cache: {blobBytesMax: 4096}') })).toBe(4096);
  });

  test('counts an empty variable as not set, and does not look at foreign ones or unknown flags', () => {
    const environment = { INGOT_DATA: '', DATA: 'x', INGOT_ENDPOINT: 'y' };
    const config = readConfig({
      schema: z.object({ data: z.string().default('d') }),
      flags: { json: true },
      environment,
    });
    expect(config).toEqual({ data: 'd' });
  });

  test('takes another prefix', () => {
    const sources = { environment: { INGOT_DATA: 'no', FARM_DATA: 'yes' }, environmentPrefix: 'FARM_' };
    expect(readConfig({ schema: z.object({ data: z.string() }), ...sources })).toEqual({ data: 'yes' });
  });

  test('reads the environment of the process by default', () => {
    process.env.INGOT_CONFIG_TEST = 'seen';
    onTestFinished(() => {
      delete process.env.INGOT_CONFIG_TEST;
    });
    expect(readConfig({ schema: z.object({ configTest: z.string() }) })).toEqual({ configTest: 'seen' });
  });

  test('is frozen all the way down', () => {
    const config = readConfig({ schema, flags: { data: 'd', accept: ['x'] }, environment: {} });
    for (const part of [config, config.grpc, config.cache, config.accept])
      expect(Object.isFrozen(part)).toBe(true);
  });

  test('takes a file of nothing but comments', async () => {
    const file = await yamlFile('# nothing yet\n');
    expect(readConfig({ schema, flags: { data: 'd' }, environment: {}, yamlFile: file }).data).toBe('d');
  });

  test('reports all that is wrong together, each with where it was said, and no value', async () => {
    const file = await yamlFile(
      'cache:\n  blobBytesMax: lots\n  blobsMax: 7\ntypo: 1\naccept: secret-value\n',
    );
    const error = thrown(() =>
      readConfig({
        schema,
        flags: { grpc: 'secret-value' },
        environment: { INGOT_SLOTS: 'secret-value', INGOT_DRAIN: '30', INGOT_VERBOSE: 'maybe' },
        yamlFile: file,
      }),
    );
    expect(error.code).toBe(Code.INVALID_ARGUMENT);
    expect(error.message.split('\n')).toEqual([
      'configuration: 9 problems',
      `  ${file}: unknown key "cache.blobsMax"`,
      `  ${file}: unknown key "typo"`,
      '  not set: --data, INGOT_DATA, or data in the configuration file',
      '  --grpc: expected HOST:PORT such as 127.0.0.1:8980 or [::1]:8980',
      '  INGOT_SLOTS: Invalid input: expected number, received string',
      '  INGOT_DRAIN: expected a time with its unit such as 500ms, 30s or 1h30m',
      '  INGOT_VERBOSE: Invalid input: expected boolean, received string',
      `  ${file}: accept: Invalid input: expected array, received string`,
      `  ${file}: cache.blobBytesMax: expected a size such as 512MiB, 10GiB or 4096`,
    ]);
  });

  test('names the source of one bad member of a list', () => {
    const strict = z.object({ ports: z.array(z.string().regex(/^[0-9]+$/)) });
    expect(thrown(() => readConfig({ schema: strict, environment: { INGOT_PORTS: '1,x' } })).message).toBe(
      'configuration: 1 problem\n  INGOT_PORTS: Invalid string: must match pattern /^[0-9]+$/',
    );
  });

  test('names the settings of a rule across several', () => {
    const ruled = z
      .object({ low: z.number().default(1), high: z.number().default(2) })
      .superRefine((value, context) => {
        if (value.low > value.high)
          context.addIssue({ code: 'custom', path: ['high'], message: 'must be at least low' });
      });
    expect(thrown(() => readConfig({ schema: ruled, flags: { low: 3 }, environment: {} })).message).toBe(
      'configuration: 1 problem\n  --high, INGOT_HIGH, or high in the configuration file: must be at least low',
    );
    expect(thrown(() => readConfig({ schema: ruled, flags: { high: 0 }, environment: {} })).message).toBe(
      'configuration: 1 problem\n  --high: must be at least low',
    );
  });

  test.for([
    ['a missing file', undefined, /^ {2}.*ingot\.yaml: cannot be read: ENOENT/],
    ['no YAML', 'a: [1', /^ {2}.*ingot\.yaml: .* at line 1, column \d+:?$/],
    ['a key twice', 'data: a\ndata: b', /^ {2}.*ingot\.yaml: Map keys must be unique at line 2/],
    ['a list', '- data', /^ {2}.*ingot\.yaml: the file is not a mapping of keys to values$/],
    ['text', 'data', /^ {2}.*ingot\.yaml: the file is not a mapping of keys to values$/],
    [
      'a section that is no mapping',
      'cache: 7',
      /^ {2}.*ingot\.yaml: cache is not a mapping of keys to values$/,
    ],
    ['an empty value', 'slots:', /^ {2}.*ingot\.yaml: slots: Invalid input: expected number, received null$/],
    ['the prototype', '__proto__: {data: x}', /^ {2}.*ingot\.yaml: unknown key "__proto__"$/],
    ['too much', `# ${'x'.repeat(2 ** 20)}`, /^ {2}.*ingot\.yaml: is larger than 1048576 bytes$/],
  ] as const)('reports %s', async ([, text, problem]) => {
    const file = text === undefined ? join(tmpdir(), 'not-there', 'ingot.yaml') : await yamlFile(text);
    const error = thrown(() => readConfig({ schema, flags: { data: 'd' }, environment: {}, yamlFile: file }));
    expect(error.code).toBe(Code.INVALID_ARGUMENT);
    expect(error.message.split('\n')[1]).toMatch(problem);
  });

  test('refuses a schema in which two settings share a name', () => {
    const clash = z.object({ cacheFolder: z.string(), cache: z.object({ folder: z.string() }) });
    expect(() => readConfig({ schema: clash, environment: {} })).toThrow('settings share a name');
  });
});

describe('key and value pairs', () => {
  const pairs = z.object({ property: keyValues().prefault([]) });
  const read = (property: unknown): unknown =>
    readConfig({ schema: pairs, flags: { property }, environment: {} }).property;

  test('come from a list, a text or a mapping', async () => {
    const expected = new Map([
      ['gpu.arch', 'sm_90'],
      ['note', 'a=b'],
    ]);
    expect(read(['gpu.arch=sm_90', 'note=a=b'])).toEqual(expected);
    expect(read('gpu.arch=sm_90, note=a=b')).toEqual(expected);
    const file = await yamlFile('property:\n  gpu.arch: sm_90\n  note: a=b\n');
    expect(readConfig({ schema: pairs, environment: {}, yamlFile: file }).property).toEqual(expected);
  });

  test.for([
    [['x'], 'expected KEY=VALUE'],
    [['=x'], 'expected KEY=VALUE'],
    ['', 'expected KEY=VALUE'],
    [['a=1', 'a=2'], 'a is given twice'],
  ] as const)('%j is refused', ([value, message]) => {
    expect(thrown(() => read(value)).message).toBe(`configuration: 1 problem\n  --property: ${message}`);
  });
});
