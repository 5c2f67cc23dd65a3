import { describe, expect, test } from 'vitest';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { recordingLogger } from '../../setup/recording-logger.ts';
import { rejection } from '../../setup/rejection.ts';
import { bytes, eventually, TIMEOUT_MS, text } from './bus-pair.ts';
import { connectBus, startNats } from './nats-fixture.ts';

describe('NatsMessageBus whose server goes', () => {
  test.concurrent('subscriptions survive kill -9 and a restart of the server on its port', async () => {
    await using nats = await startNats();
    const logger = recordingLogger();
    await using client = await connectBus(nats.url);
    await using server = await connectBus(nats.url, { logger });
    await server.subscribe('echo', async (m) => m.payload);
    const ask = async (): Promise<string> =>
      text(await client.request('echo', bytes('x'), { timeoutMs: 1_000 }));
    expect(await ask()).toBe('x');
    await nats.kill();
    await eventually(() =>
      expect(logger.at('warn').map((line) => line.message)).toEqual(['NATS server lost']),
    );
    await nats.start();
    await eventually(async () => expect(await ask()).toBe('x'));
    expect(logger.at('info').map((line) => line.message)).toEqual(['NATS server is back']);
  });

  test.concurrent('while it is away publishes are dropped, requests fail at once, and subscribe waits', async () => {
    await using nats = await startNats();
    const logger = recordingLogger();
    await using bus = await connectBus(nats.url, { logger });
    const seen: string[] = [];
    await bus.subscribe('news', async (m) => {
      seen.push(text(m.payload));
      return undefined;
    });
    await nats.kill();
    await eventually(() => expect(logger.at('warn')).toHaveLength(1));

    bus.publish('news', bytes('lost'));
    const startMs = performance.now();
    expect(await rejection(bus.request('news', bytes(''), { timeoutMs: TIMEOUT_MS }))).toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'the message bus is away: the NATS server is not reachable',
    });
    expect(performance.now() - startMs).toBeLessThan(500);
    let subscribed = false;
    const subscription = bus
      .subscribe('late', async (m) => m.payload)
      .then((each) => {
        subscribed = true;
        return each;
      });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(subscribed).toBe(false);

    await nats.start();
    await subscription;
    const reply = await bus.request('late', bytes('y'), { timeoutMs: TIMEOUT_MS });
    expect(text(reply)).toBe('y');
    bus.publish('news', bytes('fresh'));
    await eventually(() => expect(seen).toEqual(['fresh']));
  });

  test.concurrent('a request under way when it goes fails with UNAVAILABLE long before its timeout', async () => {
    await using nats = await startNats();
    await using bus = await connectBus(nats.url);
    const started = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<undefined>();
    await bus.subscribe('slow', () => {
      started.resolve();
      return gate.promise;
    });
    const request = rejection(bus.request('slow', bytes(''), { timeoutMs: 60_000 }));
    await started.promise;
    await nats.kill();
    expect(await request).toMatchObject({ code: Code.UNAVAILABLE });
    gate.resolve(undefined);
  });

  test.concurrent('close while it is away ends at once, and a handler under way still finishes', async () => {
    await using nats = await startNats();
    await using bus = await connectBus(nats.url);
    const started = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    let finished = false;
    await bus.subscribe('work', async () => {
      started.resolve();
      await gate.promise;
      finished = true;
      return bytes('nobody will read this');
    });
    const request = rejection(bus.request('work', bytes(''), { timeoutMs: 60_000 }));
    await started.promise;
    await nats.kill();
    await request;
    const closing = bus.close();
    gate.resolve();
    const startMs = performance.now();
    await closing;
    expect(performance.now() - startMs).toBeLessThan(1_500);
    expect(finished).toBe(true);
  });

  test.concurrent('close with a server that has stopped answering is over in seconds', async () => {
    await using nats = await startNats();
    await using bus = await connectBus(nats.url);
    await bus.subscribe('x', async () => undefined);
    nats.pause();
    const startMs = performance.now();
    await bus.close();
    expect(performance.now() - startMs).toBeLessThan(5_000);
    nats.resume();
  });
});
