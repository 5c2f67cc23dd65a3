import { describe, expect, it } from 'vitest';
import { SharedTasks } from '../../../cache/chunking/shared-tasks.ts';
import { abortReason } from '../../../core/abort.ts';
import { cancelled, dataLoss } from '../../../core/error.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';

/** A task that runs until it is told to end, or aborted. */
function pending() {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let begun = 0;
  let aborted = false;
  return {
    end: resolve,
    fail: reject,
    get begun() {
      return begun;
    },
    get aborted() {
      return aborted;
    },
    run: (signal: AbortSignal) => {
      begun += 1;
      signal.addEventListener('abort', () => {
        aborted = true;
        reject(abortReason(signal));
      });
      return promise;
    },
  };
}

describe('SharedTasks', () => {
  it('runs a task once for all who want it, and again for those who come later', async () => {
    const tasks = new SharedTasks();
    const first = pending();
    const both = [tasks.run('a', first.run), tasks.run('a', first.run)];
    first.end();
    await Promise.all(both);
    expect(first.begun).toBe(1);
    const second = pending();
    second.end();
    await tasks.run('a', second.run);
    expect(second.begun).toBe(1);
  });

  it('goes on while one still waits, and is aborted when the last has gone', async () => {
    const tasks = new SharedTasks();
    const task = pending();
    const [first, second] = [new AbortController(), new AbortController()];
    const gone = tasks.run('a', task.run, { signal: first.signal });
    const staying = tasks.run('a', task.run, { signal: second.signal });
    first.abort(cancelled('the first left'));
    await expect(gone).rejects.toMatchObject({ code: Code.CANCELLED, message: 'the first left' });
    expect(task.aborted).toBe(false);
    second.abort(cancelled('the second left'));
    await expect(staying).rejects.toMatchObject({ code: Code.CANCELLED, message: 'the second left' });
    expect(task.aborted).toBe(true);
  });

  it('fails for all who wait, and is begun anew by the next', async () => {
    const tasks = new SharedTasks();
    const task = pending();
    const both = [tasks.run('a', task.run), tasks.run('a', task.run)];
    task.fail(dataLoss('the blob is damaged'));
    for (const run of both) {
      await expect(run).rejects.toMatchObject({ code: Code.DATA_LOSS, message: 'the blob is damaged' });
    }
    const again = pending();
    again.end();
    await tasks.run('a', again.run);
    expect(again.begun).toBe(1);
  });
});
