import { describe, expect, it } from 'vitest';
import { CircuitBreaker } from '../../core/circuit-breaker.ts';
import { invalidArgument, unavailable } from '../../core/error.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';

function openBreaker() {
  const clock = { ms: 0 };
  const changes: boolean[] = [];
  const breaker = new CircuitBreaker({
    failuresMax: 2,
    openMs: 1000,
    refusal: (waitMs) => unavailable(`away for ${waitMs} ms`),
    isFailure: ({ code }) => code === Code.UNAVAILABLE,
    onChange: (isOpen) => void changes.push(isOpen),
    now: () => clock.ms,
  });
  const fail = () =>
    breaker.run(() => Promise.reject(unavailable('no answer'))).catch((error) => error.message);
  const succeed = () => breaker.run(async () => 'answer').catch((error) => error.message);
  return { breaker, clock, changes, fail, succeed };
}

describe('CircuitBreaker', () => {
  it('lets calls through until so many fail in a row, then refuses them and says how long', async () => {
    const { breaker, clock, changes, fail, succeed } = openBreaker();
    expect([await fail(), await succeed(), await fail(), await fail()]).toEqual([
      'no answer',
      'answer',
      'no answer',
      'no answer',
    ]);
    expect(breaker.isOpen).toBe(true);
    clock.ms = 300;
    expect(await succeed()).toBe('away for 700 ms');
    expect(changes).toEqual([true]);
  });

  it('lets one call try after the time, closes when it succeeds, and opens again when it fails', async () => {
    const { breaker, clock, changes, fail, succeed } = openBreaker();
    await fail();
    await fail();
    clock.ms = 1000;
    const gate = Promise.withResolvers<string>();
    const probe = breaker.run(() => gate.promise);
    expect(await succeed()).toBe('away for 0 ms');
    gate.reject(unavailable('no answer'));
    await expect(probe).rejects.toMatchObject({ message: 'no answer' });
    expect(await succeed()).toBe('away for 1000 ms');
    clock.ms = 2000;
    expect(await succeed()).toBe('answer');
    expect(await succeed()).toBe('answer');
    expect(breaker.isTripped).toBe(false);
    expect(changes).toEqual([true, false]);
  });

  it('takes no notice of errors that do not speak of the other side, a probe that ends so included', async () => {
    const { breaker, clock, fail, succeed } = openBreaker();
    const refuse = () =>
      breaker.run(() => Promise.reject(invalidArgument('bad'))).catch(({ message }) => message);
    for (let index = 0; index < 5; index += 1) expect(await refuse()).toBe('bad');
    expect(breaker.isOpen).toBe(false);
    await fail();
    await fail();
    clock.ms = 1000;
    expect(await refuse()).toBe('bad');
    expect(await succeed()).toBe('answer');
  });
});
