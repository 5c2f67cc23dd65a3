import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NatsMessageBus } from '../../../core/bus/nats-message-bus.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { NatsServer } from '../../setup/nats-server.ts';
import { rejection } from '../../setup/rejection.ts';
import { bytes, eventually, type OpenBuses, settled, TIMEOUT_MS, text } from './bus-pair.ts';
import { messageBusContract } from './message-bus-contract.ts';
import { messageBusEdgeContract } from './message-bus-edge-contract.ts';
import { connectBus } from './nats-fixture.ts';

let shared: NatsServer;
beforeAll(async () => {
  shared = await NatsServer.start();
});
afterAll(async () => {
  await shared[Symbol.asyncDispose]();
});

describe('NatsMessageBus', () => {
  const open: OpenBuses = async (logger) => {
    // A prefix of its own keeps what is still on its way out of the next test.
    const options = { url: shared.url, logger, subjectPrefix: `test-${randomUUID()}` };
    return {
      client: await NatsMessageBus.connect({ ...options, name: 'client' }),
      server: await NatsMessageBus.connect({ ...options, name: 'server' }),
    };
  };
  messageBusContract(open);
  messageBusEdgeContract(open);

  test('closing fails the requests that wait, and closing twice is closing once', async () => {
    await using client = await connectBus(shared.url);
    await using server = await connectBus(shared.url);
    const gate = Promise.withResolvers<undefined>();
    await server.subscribe('slow', () => gate.promise);
    const request = rejection(client.request('slow', bytes(''), { timeoutMs: TIMEOUT_MS }));
    await settled(client, server);
    await Promise.all([client.close(), client.close()]);
    expect(await request).toMatchObject({ code: Code.UNAVAILABLE, message: 'the message bus is closed' });
    gate.resolve(undefined);
  });

  test('farms with different prefixes do not hear each other, and the default is ingot', async () => {
    const seen: string[] = [];
    const listen = async (name: string, bus: NatsMessageBus): Promise<void> => {
      await bus.subscribe('worker.*', async (m) => {
        seen.push(`${name} ${m.subject} ${text(m.payload)}`);
        return undefined;
      });
    };
    await using one = await connectBus(shared.url);
    await using two = await connectBus(shared.url, { subjectPrefix: 'other.farm' });
    await listen('one', one);
    await listen('two', two);
    await using three = await connectBus(shared.url, { subjectPrefix: 'ingot' });
    await using four = await connectBus(shared.url, { subjectPrefix: 'other.farm' });
    three.publish('worker.a', bytes('1'));
    four.publish('worker.b', bytes('2'));
    await eventually(() => expect(seen.toSorted()).toEqual(['one worker.a 1', 'two worker.b 2']));
  });
});
