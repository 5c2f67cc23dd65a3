import { describe, expect, it } from 'vitest';
import { UploadRaces } from '../../../cache/blobs/upload-race.ts';
import { cancelled } from '../../../core/error.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';

describe('UploadRaces', () => {
  it('lets two run, and others as they end', async () => {
    const races = new UploadRaces();
    const runners = [1, 2, 3, 4].map(() => races.enter('a'));
    await runners[0]?.start();
    await runners[1]?.start();
    let started = 0;
    const later = runners.slice(2).map(async (runner) => {
      await runner.start();
      started += 1;
    });
    await new Promise((done) => setImmediate(done));
    expect(started).toBe(0);
    runners[0]?.[Symbol.dispose]();
    await later[0];
    expect(started).toBe(1);
    runners[1]?.[Symbol.dispose]();
    await later[1];
    for (const runner of runners) runner[Symbol.dispose]();
    expect(races.size).toBe(0);
  });

  it('ends all when one has won, those running by their signal', async () => {
    const races = new UploadRaces();
    const [winner, other, waiting] = [1, 2, 3].map(() => races.enter('a'));
    await winner?.start();
    await other?.start();
    const started = waiting?.start();
    winner?.win();
    await started;
    expect([other?.beaten, waiting?.beaten]).toEqual([true, true]);
    expect(other?.signal.reason).toMatchObject({ code: Code.ABORTED });
    expect(winner?.signal.aborted).toBe(false);
  });

  it('lets one more run when those running have not moved for a while', async () => {
    let now = 0;
    const races = new UploadRaces({ now: () => now });
    const [a, b, c, d] = [1, 2, 3, 4].map(() => races.enter('a'));
    await a?.start();
    await b?.start();
    now = 1999;
    a?.moved();
    now = 3998;
    let running = false;
    const third = c?.start().then(() => {
      running = true;
    });
    await new Promise((done) => setImmediate(done));
    expect(running).toBe(false);
    now = 3999;
    await d?.start();
    a?.[Symbol.dispose]();
    b?.[Symbol.dispose]();
    await third;
  });

  it('stops waiting when its caller is gone', async () => {
    const races = new UploadRaces();
    const controller = new AbortController();
    await races.enter('a').start();
    await races.enter('a').start();
    const waiting = races.enter('a', { signal: controller.signal });
    const started = waiting.start();
    controller.abort(cancelled('gone'));
    await expect(started).rejects.toMatchObject({ code: Code.CANCELLED, message: 'gone' });
  });

  it('keeps digests apart', async () => {
    const races = new UploadRaces();
    races.enter('a').win();
    expect(races.enter('b').beaten).toBe(false);
  });
});
