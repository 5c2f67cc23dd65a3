import { describe, expect, test } from 'vitest';
import { BUS_PAYLOAD_BYTES_MAX, type BusMessage } from '../../../core/bus/message-bus.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { rejection, thrown } from '../../setup/rejection.ts';
import { bytes, eventually, type OpenBuses, openPair, settled, TIMEOUT_MS, text } from './bus-pair.ts';

/** What every message bus must refuse, and how it ends. */
export function messageBusEdgeContract(open: OpenBuses): void {
  const pair = openPair(open);

  describe('limits', () => {
    const tooLarge = new Uint8Array(BUS_PAYLOAD_BYTES_MAX + 1);

    test('a payload over the limit is refused before sending', async () => {
      const { client, server } = await pair();
      const seen: BusMessage[] = [];
      await server.subscribe('big', async (m) => void seen.push(m));
      const message = 'message to big has 1024001 bytes, the message bus carries at most 1024000';
      const expected = expect.objectContaining({ code: Code.RESOURCE_EXHAUSTED, message });
      expect(thrown(() => client.publish('big', tooLarge))).toEqual(expected);
      expect(await rejection(client.request('big', tooLarge, { timeoutMs: TIMEOUT_MS }))).toEqual(expected);
      await settled(client, server);
      expect(seen).toEqual([]);
    });

    test('a reply over the limit is an error to the requester', async () => {
      const { client, server } = await pair();
      await server.subscribe('big', async () => tooLarge);
      expect(await rejection(client.request('big', bytes(''), { timeoutMs: TIMEOUT_MS }))).toMatchObject({
        code: Code.RESOURCE_EXHAUSTED,
        message: 'reply on big has 1024001 bytes, the message bus carries at most 1024000',
      });
    });

    test.for([
      '',
      '.',
      'a..b',
      'a.',
      '.a',
      'a b',
      'a\r\nPUB x 0',
      'a.>',
      'a.*',
      'a.b*',
      'ü',
      'x'.repeat(513),
    ])('refuses %j as a subject to send to', async (subject) => {
      const { client } = await pair();
      expect(thrown(() => client.publish(subject, bytes('')))).toMatchObject({ code: Code.INVALID_ARGUMENT });
      expect(await rejection(client.request(subject, bytes(''), { timeoutMs: TIMEOUT_MS }))).toMatchObject({
        code: Code.INVALID_ARGUMENT,
      });
    });

    test.for(['', 'a..b', 'a.>', 'a.b*', 'a b'])('refuses %j as a subject to listen on', async (subject) => {
      const { client } = await pair();
      expect(await rejection(client.subscribe(subject, async () => undefined))).toMatchObject({
        code: Code.INVALID_ARGUMENT,
      });
    });
  });

  describe('closed', () => {
    test('close lets the handler under way finish and its reply go out', async () => {
      const { client, server } = await pair();
      const started = Promise.withResolvers<void>();
      const gate = Promise.withResolvers<void>();
      await server.subscribe('last', async () => {
        started.resolve();
        await gate.promise;
        return bytes('done');
      });
      const reply = client.request('last', bytes(''), { timeoutMs: TIMEOUT_MS });
      await started.promise;
      const closing = server.close();
      gate.resolve();
      await closing;
      // A bus that is both ends must not drop its own last reply either.
      expect(text(await reply)).toBe('done');
    });

    test('a handler under way may still send and ask while the bus closes', async () => {
      const { client, server } = await pair();
      const started = Promise.withResolvers<void>();
      const gate = Promise.withResolvers<void>();
      const seen: string[] = [];
      const other =
        client === server
          ? undefined
          : await client.subscribe('note', async (m) => void seen.push(text(m.payload)));
      await server.subscribe('first', async () => {
        started.resolve();
        await gate.promise;
        server.publish('note', bytes('from the handler'));
        return undefined;
      });
      client.publish('first', bytes(''));
      await started.promise;
      const closing = server.close();
      gate.resolve();
      await closing;
      if (other !== undefined) await eventually(() => expect(seen).toEqual(['from the handler']));
    });

    test('a closed bus refuses requests and subscriptions, and drops publishes', async () => {
      const { client } = await pair();
      await client.close();
      const closed = expect.objectContaining({
        code: Code.UNAVAILABLE,
        message: 'the message bus is closed',
      });
      client.publish('a', bytes(''));
      expect(await rejection(client.request('a', bytes(''), { timeoutMs: TIMEOUT_MS }))).toEqual(closed);
      expect(await rejection(client.subscribe('a', async () => undefined))).toEqual(closed);
    });
  });
}
