import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { aborted } from '../../../core/error.ts';
import { LiveLogs } from '../../../worker/agent/live-logs.ts';
import { recordingLogger } from '../../setup/recording-logger.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { MemoryLogStreams } from '../memory-log-streams.ts';

test('a stream ends with all that the command wrote', async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, 'stdout');
  const logStreams = new MemoryLogStreams();
  const logs = new LiveLogs({ logStreams, logger: recordingLogger(), bytesMax: 100 });
  const result = await logs.during(
    [
      { path, streamName: 'logs/1/stdout' },
      { path, streamName: '' },
    ],
    async () => {
      await writeFile(path, 'one ');
      await appendFile(path, 'two');
      return 7;
    },
  );
  expect(result).toBe(7);
  expect(logStreams.written).toEqual(new Map([['logs/1/stdout', 'one two']]));
  expect(logStreams.ended).toEqual(new Set(['logs/1/stdout']));
});

test('a stream that cannot be written harms nobody', async () => {
  const logger = recordingLogger();
  const logStreams = new MemoryLogStreams();
  logStreams.write = async () => {
    throw aborted('the log has ended');
  };
  const logs = new LiveLogs({ logStreams, logger, bytesMax: 100 });
  expect(await logs.during([{ path: '/nowhere', streamName: 'logs/1/stdout' }], async () => 7)).toBe(7);
  expect(logger.at('warn')).toMatchObject([{ message: 'live log is not shown to its end' }]);
});
