import { hash } from 'node:crypto';
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PushSource } from '../../../cache/grpc/push-source.ts';
import { FileLogStreams } from '../../../cache/logs/file-log-streams.ts';
import { defaultLogStreamLimits, type LogStreamLimits } from '../../../cache/logs/log-stream-limits.ts';
import { GrpcLogStreams } from '../../../cache/remote/grpc-log-streams.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { bytesOf } from '../../../core/streams.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { tempFolder } from '../../setup/temp-folder.ts';
import { openCacheServer } from '../cache-server.ts';
import { logStreamsContract } from '../log-streams-contract.ts';

async function openLogs(limits: Partial<LogStreamLimits> = {}) {
  const folder = await tempFolder();
  const open = () =>
    FileLogStreams.open({
      folder: folder.path,
      logger: silentLogger,
      limits: { ...defaultLogStreamLimits, ...limits },
    });
  const logStreams = await open();
  return {
    folder: folder.path,
    logStreams,
    reopen: open,
    readAll: async (name: string, logs: FileLogStreams = logStreams) =>
      Buffer.concat(await Array.fromAsync(logs.read(name, 0))).toString(),
    async [Symbol.asyncDispose]() {
      await logStreams.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

logStreamsContract('FileLogStreams', () => openLogs());

logStreamsContract('GrpcLogStreams over a real server', async () => {
  const server = await openCacheServer();
  return {
    logStreams: new GrpcLogStreams({ channel: server.channel }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
});

const text = (words: string) => bytesOf(Buffer.from(words));

describe('FileLogStreams', () => {
  it('cuts off a stream that is too long, and says so in it', async () => {
    await using opened = await openLogs({ streamBytesMax: 10 });
    await opened.logStreams.write(
      'a',
      bytesOf(Buffer.from('12345'), Buffer.from('6789012'), Buffer.from('3')),
    );
    expect(await opened.readAll('a')).toBe('1234567890\n[ingot: the log is cut off here, after 10 bytes]\n');
    expect(await opened.logStreams.status('a')).toEqual({ sizeBytes: 13, ended: true });
  });

  it('forgets the streams that ended first when there is too much of them', async () => {
    await using opened = await openLogs({ totalBytesMax: 20, appearMs: 20 });
    await opened.logStreams.write('a', text('aaaaaaaa'));
    await opened.logStreams.write('b', text('bbbbbbbb'));
    await opened.logStreams.write('c', text('cccccccc'));
    expect(await opened.readAll('b')).toBe('bbbbbbbb');
    expect(await opened.readAll('c')).toBe('cccccccc');
    expect(await opened.logStreams.status('a')).toBeUndefined();
  });

  it('refuses one stream too many while none has ended', async () => {
    await using opened = await openLogs({ streamsMax: 2 });
    const source = new PushSource();
    const writing = ['a', 'b'].map((name) =>
      opened.logStreams.write(name, name === 'a' ? source : new PushSource()),
    );
    await expect(opened.logStreams.write('c', text('c'))).rejects.toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      message: 'Open log "c": 2 logs are open, as many as are allowed',
    });
    source.end();
    await writing[0];
    await opened.logStreams.write('c', text('c'));
    expect(await opened.logStreams.status('a')).toBeUndefined();
    await opened.logStreams.close();
    await expect(writing[1]).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'the log streams are closing',
    });
  });

  it('forgets a stream some time after its end, with its file', async () => {
    await using opened = await openLogs({ endedMs: 30 });
    await opened.logStreams.write('a', text('a'));
    expect(await readdir(opened.folder)).toHaveLength(1);
    await expect.poll(() => readdir(opened.folder)).toEqual([]);
    expect(await opened.logStreams.status('a')).toBeUndefined();
  });

  it('ends a stream whose writer does not come back', async () => {
    await using opened = await openLogs({ detachedMs: 30 });
    const source = new PushSource();
    const controller = new AbortController();
    const writing = opened.logStreams.write('a', source, { signal: controller.signal });
    source.push(Buffer.from('half'));
    const reader = opened.logStreams.read('a', 0)[Symbol.asyncIterator]();
    await reader.next();
    controller.abort();
    await expect(writing).rejects.toMatchObject({ code: Code.CANCELLED });
    expect((await reader.next()).done).toBe(true);
    expect(await opened.logStreams.status('a')).toEqual({ sizeBytes: 4, ended: true });
  });

  it('does not let a reader wait for ever for a stream that never appears', async () => {
    await using opened = await openLogs({ appearMs: 20 });
    await expect(opened.readAll('a')).rejects.toMatchObject({
      code: Code.NOT_FOUND,
      message: 'Read log "a": nothing was written to the log',
    });
  });

  it('keeps streams over a restart: ended ones whole, broken ones open', async () => {
    await using opened = await openLogs({ endedMs: 60_000 });
    await opened.logStreams.write('ended', text('all of it'));
    await opened.logStreams.write('old', text('too old'));
    const broken = new PushSource();
    const writing = opened.logStreams.write('broken', broken);
    broken.push(Buffer.from('half'));
    await opened.logStreams.read('broken', 0)[Symbol.asyncIterator]().next();
    await opened.logStreams.close();
    await expect(writing).rejects.toMatchObject({ code: Code.UNAVAILABLE });
    const longAgo = new Date(Date.now() - 120_000);
    const names = (await readdir(opened.folder)).filter((name) => name.endsWith('.ended'));
    for (const name of names) {
      if (name.startsWith(hash('sha256', 'old'))) {
        await utimes(join(opened.folder, name), longAgo, longAgo);
      }
    }
    await using again = await opened.reopen();
    expect(await opened.readAll('ended', again)).toBe('all of it');
    expect(await again.status('old')).toBeUndefined();
    expect(await again.status('broken')).toEqual({ sizeBytes: 4, ended: false });
    await again.write('broken', text(' whole'));
    expect(await opened.readAll('broken', again)).toBe('half whole');
  });
});
