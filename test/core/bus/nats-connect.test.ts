import { describe, expect, test } from 'vitest';
import { notFound } from '../../../core/error.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { recordingLogger } from '../../setup/recording-logger.ts';
import { rejection } from '../../setup/rejection.ts';
import { bytes, eventually, TIMEOUT_MS, text } from './bus-pair.ts';
import { connectBus, startNats } from './nats-fixture.ts';

describe('NatsMessageBus.connect', () => {
  test.concurrent('keeps trying until the server is there', async () => {
    await using nats = await startNats();
    const { url } = nats;
    await nats.stop();
    const logger = recordingLogger();
    const connecting = connectBus(url, { logger });
    await eventually(() =>
      expect(logger.at('warn').map((line) => line.message)).toEqual(['NATS server not there yet, trying on']),
    );
    await nats.start();
    await using bus = await connecting;
    await bus.subscribe('echo', async (m) => m.payload);
    expect(text(await bus.request('echo', bytes('z'), { timeoutMs: TIMEOUT_MS }))).toBe('z');
  });

  test.concurrent('gives up with UNAVAILABLE when its time is over', async () => {
    await using nats = await startNats();
    await nats.stop();
    const error = await rejection(connectBus(nats.url, { timeoutMs: 300 }));
    expect(error.code).toBe(Code.UNAVAILABLE);
    expect(error.message).toMatch(
      new RegExp(`^no NATS server at 127\\.0\\.0\\.1:${nats.port} within 300 ms \\([12] tries\\): .+`),
    );
  });

  test.concurrent('gives up with the reason of its signal', async () => {
    await using nats = await startNats();
    await nats.stop();
    const controller = new AbortController();
    const reason = notFound('stopped by hand');
    const connecting = rejection(connectBus(nats.url, { signal: controller.signal }));
    controller.abort(reason);
    expect(await connecting).toBe(reason);
  });

  test.concurrent('refuses wrong credentials at once, without repeating them', async () => {
    await using nats = await startNats('authorization { user: ingot, password: right }');
    const url = nats.url.replace('//', '//ingot:wrong@');
    expect(await rejection(connectBus(url))).toMatchObject({
      code: Code.UNAUTHENTICATED,
      message: `NATS server at 127.0.0.1:${nats.port} refused the credentials`,
    });
  });

  test.concurrent('takes user and password, or a token, from the URL', async () => {
    await using withUser = await startNats('authorization { user: ingot, password: "p@ss" }');
    await using _user = await connectBus(withUser.url.replace('//', '//ingot:p%40ss@'));
    await using withToken = await startNats('authorization { token: s3cret }');
    await using _token = await connectBus(withToken.url.replace('//', '//s3cret@'));
  });

  test.concurrent('refuses a server whose max_payload is too small for our messages', async () => {
    await using nats = await startNats('max_payload: 65536');
    expect(await rejection(connectBus(nats.url))).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      message: `NATS server at 127.0.0.1:${nats.port} has max_payload 65536, at least 1025024 is needed`,
    });
  });

  test.concurrent.for(['', 'nats://', 'http://127.0.0.1:4222', '127.0.0.1:4222', 'nats://a:1,b'])(
    'refuses %j as a URL',
    async (url) => {
      expect(await rejection(connectBus(url))).toMatchObject({
        code: Code.INVALID_ARGUMENT,
        message: 'NATS URL is malformed, expected nats://HOST:PORT or tls://HOST:PORT',
      });
    },
  );
});
