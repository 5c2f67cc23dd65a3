import { describe, expect, it } from 'vitest';
import { ConsolePrinter, type Verbosity } from '../../../cli/output/console-printer.ts';
import { CapturedStream } from '../captured-stream.ts';

function printer({ isTTY = false, json = false, verbosity = 'normal' as Verbosity } = {}) {
  const clock = { nowMs: 0 };
  const stdout = new CapturedStream({ isTTY });
  const stderr = new CapturedStream({ isTTY });
  const made = new ConsolePrinter({ stdout, stderr, json, verbosity, now: () => clock.nowMs });
  return { printer: made, stdout, stderr, clock };
}

describe('ConsolePrinter', () => {
  it('puts answers on stdout and all else on stderr', () => {
    const { printer: p, stdout, stderr } = printer();
    p.line('answer');
    p.result({ not: 'shown' });
    p.warn('careful');
    p.note('chatter');
    p.detail('not shown');
    expect(stdout.text).toBe('answer\n');
    expect(stderr.text).toBe('warning: careful\nchatter\n');
  });

  it('has JSON only on stdout with --json', async () => {
    const { printer: p, stdout, stderr } = printer({ json: true });
    p.line('answer');
    p.result({ digest: 'x' });
    await p.output('stdout', Buffer.from('of the action\n'));
    expect(stdout.text).toBe('{"digest":"x"}\n');
    expect(stderr.text).toBe('of the action\n');
  });

  it('says no more than answers and warnings when quiet', () => {
    const { printer: p, stdout, stderr } = printer({ verbosity: 'quiet' });
    p.line('answer');
    p.note('chatter');
    p.warn('careful');
    p.progress('work', 10).done('fine');
    expect([stdout.text, stderr.text]).toEqual(['answer\n', 'warning: careful\n']);
  });

  it("passes an action's output on byte for byte", async () => {
    const { printer: p, stdout, stderr } = printer();
    await p.output('stdout', Buffer.from('no newline'));
    await p.output('stderr', Buffer.from([0x41]));
    expect([stdout.text, stderr.text]).toEqual(['no newline', 'A']);
  });

  it('does not draw into a line that an action has not ended', async () => {
    // One terminal, as a person has it: both streams end up on it.
    const terminal = new CapturedStream({ isTTY: true });
    const p = new ConsolePrinter({ stdout: terminal, stderr: terminal, json: false, verbosity: 'normal' });
    p.live(['executing']);
    await p.output('stdout', Buffer.from('50 %'));
    p.live(['executing still']);
    await p.output('stdout', Buffer.from(' 100 %'));
    expect(terminal.text.endsWith('50 % 100 %')).toBe(true);
    await p.output('stdout', Buffer.from('\nno end'));
    p.liveEnd();
    p.note('ran');
    expect(terminal.screen).toEqual(['50 % 100 %', 'no end', 'ran']);
  });

  it('redraws progress in place on a terminal, and leaves the last word', () => {
    const { printer: p, stderr, clock } = printer({ isTTY: true });
    const progress = p.progress('upload', 100);
    progress.update(0, 'first');
    clock.nowMs = 100;
    progress.update(50, 'half');
    expect(stderr.screen).toEqual(['upload [########........]  50 %  half']);
    clock.nowMs = 200;
    p.warn('careful');
    expect(stderr.screen).toEqual(['warning: careful', 'upload [########........]  50 %  half']);
    progress.done('2 blobs');
    expect(stderr.screen).toEqual(['warning: careful', 'upload: 2 blobs']);
  });

  it('does not redraw more often than the eye can follow', () => {
    const { printer: p, stderr, clock } = printer({ isTTY: true });
    const progress = p.progress('upload', 1000);
    for (let done = 0; done < 1000; done++) {
      clock.nowMs += 0.1;
      progress.update(done);
    }
    expect(stderr.text.split('\n').length).toBeLessThan(5);
    progress.done();
  });

  it('says how far it is every few seconds where there is no terminal', () => {
    const { printer: p, stderr, clock } = printer();
    const progress = p.progress('download', 100);
    for (clock.nowMs = 0; clock.nowMs <= 12_000; clock.nowMs += 100) progress.update(clock.nowMs / 120);
    progress.fail('the network is gone');
    expect(stderr.text.split('\n')).toEqual([
      'download [#######.........]  41 %',
      'download [#############...]  83 %',
      'download: failed: the network is gone',
      '',
    ]);
  });

  it('shows several pieces of work at once', () => {
    const { printer: p, stderr, clock } = printer({ isTTY: true });
    const [one, two] = [p.progress('one'), p.progress('two')];
    one.update(1);
    clock.nowMs = 100;
    two.update(2);
    expect(stderr.screen).toEqual(['one 1', 'two 2']);
    one.done('over');
    expect(stderr.screen).toEqual(['one: over', 'two 2']);
    two.done('over');
  });

  it('cuts lines that a terminal would wrap, since a wrapped one could not be erased', () => {
    const { printer: p, stderr } = printer({ isTTY: true });
    p.live(['x'.repeat(200)]);
    expect(stderr.screen).toEqual(['x'.repeat(79)]);
    p.liveEnd();
    expect(stderr.screen).toEqual([]);
  });
});
