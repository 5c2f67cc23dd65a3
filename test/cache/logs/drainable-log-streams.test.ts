import { describe, expect, it } from 'vitest';
import { PushSource } from '../../../cache/grpc/push-source.ts';
import { DrainableLogStreams } from '../../../cache/logs/drainable-log-streams.ts';
import { FileLogStreams } from '../../../cache/logs/file-log-streams.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { bytesOf } from '../../../core/streams.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { logStreamsContract } from '../log-streams-contract.ts';

async function openLogs() {
  const folder = await tempFolder();
  const inner = await FileLogStreams.open({ folder: folder.path, logger: silentLogger });
  return {
    inner,
    logStreams: new DrainableLogStreams(inner),
    async [Symbol.asyncDispose]() {
      await inner.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

logStreamsContract('DrainableLogStreams', openLogs);

describe('DrainableLogStreams', () => {
  const LOG = 'logs/a/stdout';
  const sentAway = {
    code: Code.UNAVAILABLE,
    message: expect.stringContaining('the server is shutting down; the log goes on when it is back'),
  };

  it('sends readers and writers away, who go on where they were with the next server', async () => {
    await using opened = await openLogs();
    const { logStreams, inner } = opened;
    const source = new PushSource();
    const writing = logStreams.write(LOG, source);
    source.push(Buffer.from('early '));
    const reader = logStreams.read(LOG, 0)[Symbol.asyncIterator]();
    expect(Buffer.from((await reader.next()).value ?? []).toString()).toBe('early ');
    const more = reader.next();

    logStreams.drain();
    await Promise.all([
      expect(writing).rejects.toMatchObject(sentAway),
      expect(more).rejects.toMatchObject(sentAway),
    ]);

    const next = new DrainableLogStreams(inner);
    expect(await next.status(LOG)).toEqual({ sizeBytes: 6, ended: false });
    await next.write(LOG, bytesOf(Buffer.from('late')));
    expect(Buffer.concat(await Array.fromAsync(next.read(LOG, 6))).toString()).toBe('late');
  });

  it('takes nobody once it drains', async () => {
    await using opened = await openLogs();
    const { logStreams } = opened;
    logStreams.drain();
    await expect(logStreams.write(LOG, bytesOf())).rejects.toMatchObject(sentAway);
    await expect(Array.fromAsync(logStreams.read(LOG, 0))).rejects.toMatchObject(sentAway);
    expect(await logStreams.status(LOG)).toBeUndefined();
  });
});
