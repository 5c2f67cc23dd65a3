import { describe, expect, test } from 'vitest';
import { BUS_PAYLOAD_BYTES_MAX, type BusMessage } from '../../../core/bus/message-bus.ts';
import { notFound } from '../../../core/error.ts';
import { retryInfo } from '../../../core/error-details.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { recordingLogger } from '../../setup/recording-logger.ts';
import { rejection } from '../../setup/rejection.ts';
import { bytes, eventually, type OpenBuses, openPair, settled, TIMEOUT_MS, text } from './bus-pair.ts';

/** What every message bus must do. The pair is closed after each test. */
export function messageBusContract(open: OpenBuses): void {
  const pair = openPair(open);

  describe('publish and subscribe', () => {
    test('a message reaches every subscriber of its subject, with subject and payload', async () => {
      const { client, server } = await pair();
      const seen: [string, string, string][] = [];
      await server.subscribe('a.b', async (m) => void seen.push(['first', m.subject, text(m.payload)]));
      await client.subscribe('a.b', async (m) => void seen.push(['second', m.subject, text(m.payload)]));
      client.publish('a.b', bytes('hello'));
      await eventually(() => expect(seen).toHaveLength(2));
      expect(seen.toSorted()).toEqual([
        ['first', 'a.b', 'hello'],
        ['second', 'a.b', 'hello'],
      ]);
    });

    test('messages to one subject arrive in the order they were published', async () => {
      const { client, server } = await pair();
      const seen: string[] = [];
      await server.subscribe('order', async (m) => void seen.push(text(m.payload)));
      const sent = Array.from({ length: 1000 }, (_, index) => String(index));
      for (const each of sent) client.publish('order', bytes(each));
      await eventually(() => expect(seen).toHaveLength(1000));
      expect(seen).toEqual(sent);
    });

    test('a star stands for exactly one word', async () => {
      const { client, server } = await pair();
      const seen: string[] = [];
      await server.subscribe('worker.*.offer', async (m) => void seen.push(m.subject));
      for (const subject of [
        'worker.offer',
        'worker.a.b.offer',
        'worker.a.cancel',
        'worker.a.offer',
        'worker.b.offer',
      ]) {
        client.publish(subject, bytes(''));
      }
      await eventually(() => expect(seen).toHaveLength(2));
      await settled(client, server);
      expect(seen).toEqual(['worker.a.offer', 'worker.b.offer']);
    });

    test('a queue group shares messages: each goes to one member, and to every plain subscriber', async () => {
      const { client, server } = await pair();
      const group: [string, string][] = [];
      const plain: string[] = [];
      for (const member of ['one', 'two', 'three']) {
        await server.subscribe('jobs', async (m) => void group.push([member, text(m.payload)]), {
          queueGroup: 'pool',
        });
      }
      await server.subscribe('jobs', async (m) => void plain.push(text(m.payload)));
      const sent = Array.from({ length: 300 }, (_, index) => String(index));
      for (const each of sent) client.publish('jobs', bytes(each));
      await eventually(() => expect([group.length, plain.length]).toEqual([300, 300]));
      await settled(client, server);
      expect(group.map(([, payload]) => Number(payload)).toSorted((a, b) => a - b)).toEqual(sent.map(Number));
      expect(new Set(group.map(([member]) => member))).toEqual(new Set(['one', 'two', 'three']));
    });

    test('a payload changed after publishing arrives as it was', async () => {
      const { client, server } = await pair();
      const seen: string[] = [];
      await server.subscribe('copy', async (m) => void seen.push(text(m.payload)));
      const payload = bytes('before');
      client.publish('copy', payload);
      payload.set(bytes('after!'));
      await eventually(() => expect(seen).toEqual(['before']));
    });

    test('a handler never runs before publish has returned', async () => {
      const { client } = await pair();
      let returned = false;
      const seen: boolean[] = [];
      await client.subscribe('later', async () => void seen.push(returned));
      client.publish('later', bytes(''));
      returned = true;
      await eventually(() => expect(seen).toEqual([true]));
    });

    test('an error of a handler is logged, and the next message is handled', async () => {
      const logger = recordingLogger();
      const { client, server } = await pair(logger);
      const seen: string[] = [];
      await server.subscribe('fragile', async (m) => {
        seen.push(text(m.payload));
        if (seen.length === 1) throw new Error('broken');
      });
      client.publish('fragile', bytes('1'));
      client.publish('fragile', bytes('2'));
      await eventually(() => expect(seen).toEqual(['1', '2']));
      expect(logger.at('error')).toEqual([
        {
          level: 'error',
          message: 'bus handler failed',
          fields: { subject: 'fragile', error: new Error('broken') },
        },
      ]);
    });

    test('a closed subscription gets nothing more, and close waits for the handler under way', async () => {
      const { client, server } = await pair();
      const seen: string[] = [];
      const gate = Promise.withResolvers<void>();
      const subscription = await server.subscribe('closing', async (m) => {
        await gate.promise;
        seen.push(text(m.payload));
      });
      client.publish('closing', bytes('before'));
      await settled(client, server);
      let closed = false;
      const closing = subscription.close().then(() => {
        closed = true;
      });
      await settled(client, server);
      client.publish('closing', bytes('after'));
      await settled(client, server);
      expect(closed).toBe(false);
      gate.resolve();
      await closing;
      expect(seen).toEqual(['before']);
    });

    test('many handlers run at once, so a slow one holds up nobody', async () => {
      const { client, server } = await pair();
      const gate = Promise.withResolvers<void>();
      let waiting = 0;
      let quick = 0;
      await server.subscribe('mixed', async (m) => {
        if (text(m.payload) === 'quick') {
          quick += 1;
          return;
        }
        waiting += 1;
        await gate.promise;
      });
      for (let index = 0; index < 50; index += 1) client.publish('mixed', bytes('slow'));
      client.publish('mixed', bytes('quick'));
      await eventually(() => expect([waiting, quick]).toEqual([50, 1]));
      gate.resolve();
    });

    test('no more than 256 handlers of a subscription run at once, and the rest follow', async () => {
      const { client, server } = await pair();
      const gate = Promise.withResolvers<void>();
      let started = 0;
      await server.subscribe('flood', async () => {
        started += 1;
        await gate.promise;
      });
      for (let index = 0; index < 400; index += 1) client.publish('flood', bytes(''));
      await eventually(() => expect(started).toBe(256));
      await settled(client, server);
      expect(started).toBe(256);
      gate.resolve();
      await eventually(() => expect(started).toBe(400));
    });
  });

  describe('request and reply', () => {
    test('the reply is what the handler returns', async () => {
      const { client, server } = await pair();
      await server.subscribe('echo', async (m) => bytes(`${m.subject}: ${text(m.payload)}`));
      expect(text(await client.request('echo', bytes('hi'), { timeoutMs: TIMEOUT_MS }))).toBe('echo: hi');
    });

    test('a handler that returns nothing answers with an empty payload', async () => {
      const { client, server } = await pair();
      await server.subscribe('void', async () => undefined);
      expect((await client.request('void', bytes('x'), { timeoutMs: TIMEOUT_MS })).byteLength).toBe(0);
    });

    test('requests side by side get their own replies', async () => {
      const { client, server } = await pair();
      await server.subscribe('double', async (m) => {
        await new Promise((resolve) => setTimeout(resolve, Number(text(m.payload)) % 7));
        return bytes(String(Number(text(m.payload)) * 2));
      });
      const replies = await Promise.all(
        Array.from({ length: 200 }, async (_, index) =>
          text(await client.request('double', bytes(String(index)), { timeoutMs: TIMEOUT_MS })),
        ),
      );
      expect(replies).toEqual(Array.from({ length: 200 }, (_, index) => String(index * 2)));
    });

    test('the largest payload goes there and back', async () => {
      const { client, server } = await pair();
      await server.subscribe('large', async (m) => m.payload);
      const payload = new Uint8Array(BUS_PAYLOAD_BYTES_MAX).fill(7);
      const reply = await client.request('large', payload, { timeoutMs: TIMEOUT_MS });
      expect(Buffer.compare(reply, payload)).toBe(0);
    });

    test('an IngotError of the handler arrives with code, message and details, without its cause', async () => {
      const { client, server } = await pair();
      await server.subscribe('missing', async () => {
        throw notFound('no such thing: \u{1F9F1} "x"\r\nsecond line', {
          details: [retryInfo(1500)],
          cause: new Error('secret'),
        });
      });
      const error = await rejection(client.request('missing', bytes(''), { timeoutMs: TIMEOUT_MS }));
      expect(error).toMatchObject({
        code: Code.NOT_FOUND,
        message: 'no such thing: \u{1F9F1} "x"\r\nsecond line',
        details: [retryInfo(1500)],
      });
      expect(error.cause).toBeUndefined();
    });

    test('any other error arrives as INTERNAL "internal error", and is logged where it happened', async () => {
      const logger = recordingLogger();
      const { client, server } = await pair(logger);
      await server.subscribe('broken', async () => {
        throw new TypeError('password is hunter2');
      });
      const error = await rejection(client.request('broken', bytes(''), { timeoutMs: TIMEOUT_MS }));
      expect(error).toMatchObject({ code: Code.INTERNAL, message: 'internal error' });
      expect(logger.at('error')).toEqual([
        {
          level: 'error',
          message: 'bus handler failed',
          fields: { subject: 'broken', error: new TypeError('password is hunter2') },
        },
      ]);
    });

    test('nobody listening is UNAVAILABLE at once', async () => {
      const { client } = await pair();
      const startMs = performance.now();
      const error = await rejection(client.request('nobody.home', bytes(''), { timeoutMs: TIMEOUT_MS }));
      expect(error).toMatchObject({
        code: Code.UNAVAILABLE,
        message: 'bus request to nobody.home: nobody listens',
      });
      expect(performance.now() - startMs).toBeLessThan(1_000);
    });

    test('nobody listens any more once the subscription is closed', async () => {
      const { client, server } = await pair();
      const subscription = await server.subscribe('gone', async () => bytes('yes'));
      await client.request('gone', bytes(''), { timeoutMs: TIMEOUT_MS });
      await subscription.close();
      const error = await rejection(client.request('gone', bytes(''), { timeoutMs: TIMEOUT_MS }));
      expect(error).toMatchObject({ code: Code.UNAVAILABLE });
    });

    test('no reply in time is DEADLINE_EXCEEDED', async () => {
      const { client, server } = await pair();
      const gate = Promise.withResolvers<undefined>();
      await server.subscribe('slow', () => gate.promise);
      const error = await rejection(client.request('slow', bytes(''), { timeoutMs: 50 }));
      expect(error).toMatchObject({
        code: Code.DEADLINE_EXCEEDED,
        message: 'bus request to slow: no reply within 50 ms',
      });
      gate.resolve(undefined);
    });

    test('an abort ends the wait with its reason', async () => {
      const { client, server } = await pair();
      const gate = Promise.withResolvers<undefined>();
      await server.subscribe('slow', () => gate.promise);
      const controller = new AbortController();
      const reason = notFound('changed my mind');
      const request = rejection(
        client.request('slow', bytes(''), { timeoutMs: TIMEOUT_MS, signal: controller.signal }),
      );
      await settled(client, server);
      controller.abort(reason);
      expect(await request).toBe(reason);
      gate.resolve(undefined);
    });

    test('an abort before the request means it is not sent', async () => {
      const { client, server } = await pair();
      const seen: BusMessage[] = [];
      await server.subscribe('never', async (m) => void seen.push(m));
      const reason = notFound('too late');
      const signal = AbortSignal.abort(reason);
      expect(await rejection(client.request('never', bytes(''), { timeoutMs: TIMEOUT_MS, signal }))).toBe(
        reason,
      );
      await settled(client, server);
      expect(seen).toEqual([]);
    });

    test('of a queue group one member answers', async () => {
      const { client, server } = await pair();
      let calls = 0;
      for (let member = 0; member < 3; member += 1) {
        await server.subscribe(
          'group',
          async () => {
            calls += 1;
            return undefined;
          },
          { queueGroup: 'g' },
        );
      }
      for (let index = 0; index < 10; index += 1) {
        await client.request('group', bytes(''), { timeoutMs: TIMEOUT_MS });
      }
      await settled(client, server);
      expect(calls).toBe(10);
    });
  });
}
