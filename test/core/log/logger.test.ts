import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { notFound, wrap } from '../../../core/error.ts';
import { createLogger, type Logger, type LogLevel, silentLogger } from '../../../core/log/logger.ts';

function setUp(format: 'json' | 'text', level: LogLevel = 'debug') {
  const lines: string[] = [];
  const logger = createLogger({ level, format, destination: { write: (line) => void lines.push(line) } });
  return { logger, lines, parsed: () => lines.map((line) => JSON.parse(line)) };
}

function logAll(logger: Logger): void {
  logger.debug({}, 'd');
  logger.info({}, 'i');
  logger.warn({}, 'w');
  logger.error({}, 'e');
}

describe('createLogger, json', () => {
  test('writes one object a line: time, level, fields, message', () => {
    const { logger, lines, parsed } = setUp('json');
    logger.info({ port: 8980, worker: 'a' }, 'listening');
    expect(lines[0]).toMatch(/^\{.*\}\n$/);
    expect(parsed()).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        port: 8980,
        worker: 'a',
        message: 'listening',
      },
    ]);
  });

  test.for([
    ['debug', ['d', 'i', 'w', 'e']],
    ['info', ['i', 'w', 'e']],
    ['warn', ['w', 'e']],
    ['error', ['e']],
    ['silent', []],
  ] as const)('at level %s writes that and what is worse', ([level, expected]) => {
    const { logger, parsed } = setUp('json', level);
    logAll(logger);
    expect(parsed().map(({ message }) => message)).toEqual(expected);
  });

  test('a child adds its fields to each line, and its children theirs', () => {
    const { logger, parsed } = setUp('json');
    logger.child({ worker: 'a' }).child({ operation: 'o' }).warn({ attempt: 2 }, 'retry');
    expect(parsed()).toMatchObject([{ worker: 'a', operation: 'o', attempt: 2, message: 'retry' }]);
  });

  test('an error is written with its code, stack and every cause', () => {
    const { logger, parsed } = setUp('json');
    const system = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    logger.error({ error: wrap(notFound('no blob', { cause: system }), 'read') }, 'failed');
    expect(parsed()[0].error).toEqual({
      type: 'IngotError',
      code: 'NOT_FOUND',
      message: 'read: no blob',
      stack: expect.stringContaining('logger.test.ts'),
      cause: { type: 'Error', code: 'ENOSPC', message: 'no space left', stack: expect.any(String) },
    });
  });

  test('what is thrown but is no Error is written all the same', () => {
    const { logger, parsed } = setUp('json');
    logger.error({ error: 'just text' }, 'failed');
    expect(parsed()[0].error).toEqual({ type: 'string', message: 'just text' });
  });

  test('a loop of causes is cut', () => {
    const { logger, parsed } = setUp('json');
    const error = new Error('a');
    error.cause = error;
    logger.error({ error }, 'failed');
    let depth = 0;
    for (let each = parsed()[0].error; each !== undefined; each = each.cause) depth += 1;
    expect(depth).toBe(9);
  });
});

test('createLogger writes to stderr unless told otherwise, at once', () => {
  const logger = new URL('../../../core/log/logger.ts', import.meta.url).href;
  const program = `import { createLogger } from '${logger}';
    createLogger({ level: 'info', format: 'json' }).info({}, 'last words');
    process.kill(process.pid, 'SIGKILL');`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  expect(stdout).toBe('');
  expect(JSON.parse(stderr)).toMatchObject({ level: 'info', message: 'last words' });
});

describe('createLogger, text', () => {
  test('writes time, level, message and fields on one line', () => {
    const { logger, lines } = setUp('text');
    logger.info({ port: 8980, worker: 'a b', quoted: 'x=1', list: [1], nothing: null }, 'listening');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      /^\d{4}-\S+Z INFO {2}listening port=8980 worker="a b" quoted="x=1" list=\[1\] nothing=null\n$/,
    );
  });

  test('writes an error and its causes below, with their frames', () => {
    const { logger, lines } = setUp('text');
    logger.error({ error: notFound('no blob', { cause: new TypeError('bug') }) }, 'failed');
    expect(lines[0]).toMatch(
      /^\S+Z ERROR failed\n {2}IngotError \(NOT_FOUND\): no blob\n( {4}at .+\n)+ {2}caused by:\n {2}TypeError: bug\n( {4}at .+\n)+$/,
    );
  });

  test('a foreign string can neither forge a line nor command a terminal', () => {
    const { logger, lines } = setUp('text');
    const nasty = 'a\n2026-01-01 INFO  forged\u001b[2J\u009b1m\u2028\n    at \u001b[31mred';
    logger.error({ path: nasty, error: new Error(nasty) }, 'failed');
    const text = lines.join('');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028]/);
    expect(text.split('\n').filter((line) => line.startsWith('2026-01-01 INFO'))).toEqual([]);
    expect(text).toContain('\\u001b[2J');
  });
});

test('silentLogger takes everything and says nothing', () => {
  expect(() => logAll(silentLogger.child({ a: 1 }))).not.toThrow();
});
