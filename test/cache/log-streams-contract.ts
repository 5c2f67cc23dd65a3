import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PushSource } from '../../cache/grpc/push-source.ts';
import type { ResumableLogStreams } from '../../cache/logs/resumable-log-streams.ts';
import { cancelled } from '../../core/error.ts';
import { bytesOf } from '../../core/streams.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { sampleBytes } from './bytes.ts';

/** What a contract run opens and closes. */
export interface OpenedLogStreams extends AsyncDisposable {
  readonly logStreams: ResumableLogStreams;
}

/** What every log store promises, on one that begins empty and is used by all the tests. */
export function logStreamsContract(name: string, open: () => Promise<OpenedLogStreams>): void {
  describe(`${name}, as LogStreams`, () => {
    let opened: OpenedLogStreams;
    let logs: ResumableLogStreams;
    const freshName = () => `logs/${randomUUID()}/stdout`;
    const readAll = async (log: string, offset = 0) =>
      Buffer.concat(await Array.fromAsync(logs.read(log, offset)));
    beforeAll(async () => {
      opened = await open();
      logs = opened.logStreams;
    });
    afterAll(async () => {
      await opened[Symbol.asyncDispose]();
    });

    it('gives back what was written, from any offset', async () => {
      const log = freshName();
      const bytes = sampleBytes(300_000);
      await logs.write(log, bytesOf(bytes.subarray(0, 1000), bytes.subarray(1000)));
      expect((await readAll(log)).equals(bytes)).toBe(true);
      expect((await readAll(log, 299_000)).equals(bytes.subarray(299_000))).toBe(true);
      expect(await readAll(log, 300_000)).toEqual(Buffer.alloc(0));
      await expect(readAll(log, 300_001)).rejects.toMatchObject({
        code: Code.OUT_OF_RANGE,
        message: `Read log "${log}": offset 300001 is behind the 300000 bytes of the log`,
      });
    });

    it('has an end also for a stream without a byte', async () => {
      const log = freshName();
      await logs.write(log, bytesOf());
      expect(await readAll(log)).toEqual(Buffer.alloc(0));
      expect(await logs.status(log)).toEqual({ sizeBytes: 0, ended: true });
    });

    it('hands bytes to all readers while they are written, whoever comes first', async () => {
      const log = freshName();
      const early = logs.read(log, 0)[Symbol.asyncIterator]();
      const earlyFirst = early.next();
      const source = new PushSource();
      const writing = logs.write(log, source);
      source.push(Buffer.from('one'));
      expect(Buffer.from((await earlyFirst).value ?? []).toString()).toBe('one');
      const late = logs.read(log, 1)[Symbol.asyncIterator]();
      expect(Buffer.from((await late.next()).value ?? []).toString()).toBe('ne');
      source.push(Buffer.from(' two'));
      for (const reader of [early, late]) {
        expect(Buffer.from((await reader.next()).value ?? []).toString()).toBe(' two');
      }
      source.end();
      await writing;
      expect((await early.next()).done).toBe(true);
      expect((await late.next()).done).toBe(true);
    });

    it('refuses a second writer at once, and any after the end', async () => {
      const log = freshName();
      const source = new PushSource();
      const writing = logs.write(log, source);
      source.push(Buffer.from('x'));
      await logs.read(log, 0)[Symbol.asyncIterator]().next();
      await expect(logs.write(log, bytesOf(Buffer.from('y')))).rejects.toMatchObject({
        code: Code.ABORTED,
        message: `Write log "${log}": another writer is at work`,
      });
      source.end();
      await writing;
      await expect(logs.write(log, bytesOf(Buffer.from('y')))).rejects.toMatchObject({ code: Code.ABORTED });
      expect((await readAll(log)).toString()).toBe('x');
    });

    it('stays open when its writer fails, for another to go on', async () => {
      const log = freshName();
      async function* failing(): AsyncGenerator<Uint8Array> {
        yield Buffer.from('half');
        // Whoever sends must not be ahead of whoever stores, or the break is seen before the bytes.
        while ((await logs.status(log))?.sizeBytes !== 4) await new Promise((done) => setTimeout(done, 5));
        throw cancelled('the writer breaks off');
      }
      await expect(logs.write(log, failing())).rejects.toMatchObject({
        code: Code.CANCELLED,
        message: 'the writer breaks off',
      });
      expect(await logs.status(log)).toEqual({ sizeBytes: 4, ended: false });
      const reading = readAll(log);
      await expect
        .poll(async () => {
          await logs.write(log, bytesOf(Buffer.from(' whole'))).catch(() => undefined);
          return (await logs.status(log))?.ended;
        })
        .toBe(true);
      expect((await reading).toString()).toBe('half whole');
    });

    it('lets readers and writers go when their signals abort', async () => {
      const log = freshName();
      const controller = new AbortController();
      const { signal } = controller;
      const reading = Array.fromAsync(logs.read(log, 0, { signal }));
      const source = new PushSource();
      const writing = logs.write(log, source, { signal });
      const settled = Promise.allSettled([reading, writing]);
      setTimeout(() => controller.abort(cancelled('enough')), 20);
      for (const outcome of await settled) {
        expect(outcome).toMatchObject({
          status: 'rejected',
          reason: { code: Code.CANCELLED, message: 'enough' },
        });
      }
    });

    it('knows nothing of a stream that nobody wrote', async () => {
      expect(await logs.status(freshName())).toBeUndefined();
    });
  });
}
