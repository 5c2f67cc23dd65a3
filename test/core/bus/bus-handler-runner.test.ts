import { describe, expect, test } from 'vitest';
import {
  BUS_BACKLOG_BYTES_MAX,
  BUS_HANDLERS_MAX,
  BusHandlerRunner,
  type BusReply,
} from '../../../core/bus/bus-handler-runner.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { recordingLogger } from '../../setup/recording-logger.ts';

const message = { subject: 's', payload: Buffer.alloc(1024 * 1000) };

describe('BusHandlerRunner', () => {
  test('drops what is over the backlog, says so, and tells a requester', async () => {
    const logger = recordingLogger();
    const gate = Promise.withResolvers<undefined>();
    let handled = 0;
    const runner = new BusHandlerRunner({
      logger,
      handler: () => {
        handled += 1;
        return gate.promise;
      },
    });
    const fits = BUS_HANDLERS_MAX + Math.floor(BUS_BACKLOG_BYTES_MAX / (message.payload.byteLength + 256));
    for (let index = 0; index < fits; index += 1) runner.deliver({ message });
    expect(logger.at('warn')).toEqual([]);

    const replies: BusReply[] = [];
    runner.deliver({ message });
    runner.deliver({ message, respond: (reply) => void replies.push(reply) });
    expect(logger.at('warn').map((line) => line.message)).toEqual(
      Array(2).fill('bus message dropped: handlers too slow'),
    );
    expect(replies).toMatchObject([
      { error: { code: Code.RESOURCE_EXHAUSTED, message: 'too many messages wait for a handler of s' } },
    ]);

    gate.resolve(undefined);
    await runner.idle();
    expect(handled).toBe(fits);
  });

  test('takes messages again once the backlog is worked off', async () => {
    const logger = recordingLogger();
    let handled = 0;
    const runner = new BusHandlerRunner({
      logger,
      handler: async () => {
        handled += 1;
        return undefined;
      },
    });
    for (let round = 0; round < 3; round += 1) {
      for (let index = 0; index < BUS_HANDLERS_MAX + 60; index += 1) runner.deliver({ message });
      await runner.idle();
    }
    expect(handled).toBe(3 * (BUS_HANDLERS_MAX + 60));
    expect(logger.lines).toEqual([]);
  });

  test('survives a reply that cannot be sent', async () => {
    const logger = recordingLogger();
    const runner = new BusHandlerRunner({ logger, handler: async () => undefined });
    runner.deliver({
      message,
      respond: () => {
        throw new Error('connection closed');
      },
    });
    await runner.idle();
    expect(logger.at('error').map((line) => line.message)).toEqual(['bus reply could not be sent']);
  });
});
