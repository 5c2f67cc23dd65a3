import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { cancelled, failedPrecondition, invalidArgument, unavailable } from '../../../core/error.ts';
import { retryInfo } from '../../../core/error-details.ts';
import { RpcChannel } from '../../../core/rpc/rpc-channel.ts';
import type { CallContext } from '../../../core/rpc/rpc-service.ts';
import { RequestMetadata } from '../../../proto/gen/build/bazel/remote/execution/v2/remote_execution.ts';
import { EchoDefinition, startEcho } from '../../setup/rpc.ts';

async function* values(...items: string[]) {
  for (const value of items) yield { value };
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

describe('RpcChannel, calling', () => {
  it('makes calls of every shape', async () => {
    await using echo = await startEcho();
    const client = echo.channel.client(EchoDefinition);
    expect(await client.unary({ value: 'a' })).toEqual({ value: 'a' });
    expect(await collect(client.download({ value: 'a' }))).toEqual([{ value: Buffer.from('a') }]);
    expect(await client.upload(chunks(3, 1000))).toEqual({ value: '3000' });
    expect(await collect(client.both(values('1', '2', '3')))).toEqual([
      { value: '1' },
      { value: '2' },
      { value: '3' },
    ]);
  });

  it('lets each side of a bidirectional stream wait for the other', async () => {
    await using echo = await startEcho();
    let answered = Promise.withResolvers<void>();
    async function* requests() {
      for (const value of ['1', '2', '3']) {
        yield { value };
        await answered.promise;
        answered = Promise.withResolvers();
      }
    }
    const seen: string[] = [];
    for await (const { value } of echo.channel.client(EchoDefinition).both(requests())) {
      seen.push(value);
      answered.resolve();
    }
    expect(seen).toEqual(['1', '2', '3']);
  });

  it('sends metadata and request metadata', async () => {
    let context: CallContext | undefined;
    await using echo = await startEcho({
      async unary(request, given) {
        context = given;
        return request;
      },
    });
    const requestMetadata = RequestMetadata.fromPartial({ toolInvocationId: 'i', actionId: 'a' });
    const metadata = new Map([
      ['x-plain', 'value'],
      ['x-bytes-bin', Buffer.from([0, 255]).toString('base64')],
    ]);
    await echo.channel.client(EchoDefinition).unary({ value: '' }, { metadata, requestMetadata });
    expect(context!.requestMetadata).toEqual(requestMetadata);
    expect(context!.metadata.get('x-plain')).toBe('value');
    expect(context!.metadata.get('x-bytes-bin')).toBe('AP8=');
  });

  it('brings back code, message and details', async () => {
    const details = [retryInfo(1234)];
    const refuse = () => failedPrecondition('nicht möglich: 5 %', { details });
    await using echo = await startEcho({
      unary: async () => {
        throw refuse();
      },
      async *download() {
        yield { value: Buffer.from('first') };
        throw refuse();
      },
    });
    const client = echo.channel.client(EchoDefinition);
    const expected = { code: 9, message: 'nicht möglich: 5 %', details };
    await expect(client.unary({ value: '' })).rejects.toMatchObject(expected);
    const download = client.download({ value: '' })[Symbol.asyncIterator]();
    expect(await download.next()).toEqual({ done: false, value: { value: Buffer.from('first') } });
    await expect(download.next()).rejects.toMatchObject(expected);
  });

  it('takes answers larger than what a server takes', async () => {
    const value = Buffer.alloc(20 * 1024 * 1024, 1);
    await using echo = await startEcho({
      async *download() {
        yield { value };
      },
    });
    const [message] = await collect(echo.channel.client(EchoDefinition).download({ value: '' }));
    expect(Buffer.compare(message!.value, value)).toBe(0);
  });
});

describe('RpcChannel, stopping', () => {
  it('gives up at the timeout, of unary calls and streams', async () => {
    await using echo = await startEcho({
      unary: () => new Promise(() => undefined),
      async *download(_, { signal }) {
        await once(signal, 'abort');
        yield { value: Buffer.alloc(0) };
      },
    });
    const client = echo.channel.client(EchoDefinition);
    const expected = {
      code: 4,
      message: expect.stringMatching(/^Call \/ingot\.test\.Echo\/\w+.*: not finished within (the )?\d+ ms/),
    };
    await expect(client.unary({ value: '' }, { timeoutMs: 50 })).rejects.toMatchObject(expected);
    await expect(collect(client.download({ value: '' }, { timeoutMs: 50 }))).rejects.toMatchObject(expected);
    await using hasty = new RpcChannel({ address: echo.address, defaultTimeoutMs: 50 });
    await expect(hasty.client(EchoDefinition).unary({ value: '' })).rejects.toMatchObject(expected);
  });

  it('throws the reason of an aborted signal, and the server hears of it', async () => {
    const heard: unknown[] = [];
    const begun: (() => void)[] = [];
    const wait = async ({ signal }: CallContext): Promise<void> => {
      begun.shift()?.();
      await once(signal, 'abort');
      heard.push(signal.reason);
    };
    await using echo = await startEcho({
      async unary(request, context) {
        await wait(context);
        return request;
      },
      async *download(_, context) {
        await wait(context);
        yield { value: Buffer.alloc(0) };
      },
      async upload(_, context) {
        await wait(context);
        return { value: '' };
      },
    });
    const client = echo.channel.client(EchoDefinition);
    const reason = cancelled('enough of it');
    for (const start of [
      (signal: AbortSignal) => client.unary({ value: '' }, { signal }),
      (signal: AbortSignal) => collect(client.download({ value: '' }, { signal })),
      (signal: AbortSignal) => client.upload(endless(), { signal }),
    ]) {
      const controller = new AbortController();
      const running = Promise.withResolvers<void>();
      begun.push(running.resolve);
      const call = start(controller.signal);
      await running.promise;
      controller.abort(reason);
      await expect(call).rejects.toBe(reason);
    }
    await expect.poll(() => heard).toMatchObject([{ code: 1 }, { code: 1 }, { code: 1 }]);
  });

  it('starts no call when the signal is aborted already', async () => {
    await using echo = await startEcho();
    const client = echo.channel.client(EchoDefinition);
    const reason = cancelled('never mind');
    const signal = AbortSignal.abort(reason);
    await expect(client.unary({ value: '' }, { signal })).rejects.toBe(reason);
    await expect(collect(client.download({ value: '' }, { signal }))).rejects.toBe(reason);
    await expect(client.upload(endless(), { signal })).rejects.toBe(reason);
  });

  it('leaves no listener on the signal', async () => {
    await using echo = await startEcho();
    const client = echo.channel.client(EchoDefinition);
    const controller = new AbortController();
    const { signal } = controller;
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    await client.unary({ value: '' }, { signal });
    await collect(client.download({ value: '' }, { signal }));
    for await (const _ of client.both(endlessValues(), { signal })) break;
    expect(listeners).toBe(0);
  });

  it('cancels a stream whose reader stops early', async () => {
    const stopped = Promise.withResolvers<void>();
    await using echo = await startEcho({
      async *download() {
        try {
          for (;;) yield { value: Buffer.alloc(1000) };
        } finally {
          stopped.resolve();
        }
      },
    });
    for await (const _ of echo.channel.client(EchoDefinition).download({ value: '' })) break;
    await stopped.promise;
  });

  it('ends its source when the server answers early', async () => {
    const ended = Promise.withResolvers<void>();
    await using echo = await startEcho({
      async upload(requests) {
        for await (const _ of requests) return { value: 'enough' };
        return { value: 'nothing' };
      },
    });
    async function* source() {
      try {
        for (;;) yield { value: Buffer.alloc(1000) };
      } finally {
        ended.resolve();
      }
    }
    expect(await echo.channel.client(EchoDefinition).upload(source())).toEqual({ value: 'enough' });
    await ended.promise;
  });

  it('cancels the upload when its source fails, and throws the error of the source', async () => {
    const begun = Promise.withResolvers<void>();
    const over = Promise.withResolvers<unknown>();
    await using echo = await startEcho({
      async upload(requests) {
        try {
          for await (const _ of requests) begun.resolve();
        } catch (error) {
          over.resolve(error);
        }
        return { value: '' };
      },
    });
    const broken = invalidArgument('the disk is on fire');
    async function* source() {
      yield { value: Buffer.alloc(10) };
      await begun.promise;
      throw broken;
    }
    await expect(echo.channel.client(EchoDefinition).upload(source())).rejects.toBe(broken);
    expect(await over.promise).toMatchObject({ code: 1 });
  });

  it('cancels what runs when it is closed, and starts nothing after', async () => {
    await using echo = await startEcho({ unary: () => new Promise(() => undefined) });
    const client = echo.channel.client(EchoDefinition);
    const running = client.unary({ value: '' });
    const expected = { code: 1, message: `The channel to ${echo.address} was closed` };
    const seen = expect(running).rejects.toMatchObject(expected);
    await echo.channel.close();
    await seen;
    await expect(client.unary({ value: '' })).rejects.toMatchObject(expected);
    await expect(collect(client.download({ value: '' }))).rejects.toMatchObject(expected);
  });

  it('does not wait to try again once it is closed', async () => {
    const asked = Promise.withResolvers<void>();
    await using echo = await startEcho({
      unary: async () => {
        asked.resolve();
        throw unavailable('later', { details: [retryInfo(30_000)] });
      },
    });
    const waiting = echo.channel.client(EchoDefinition).unary({ value: '' });
    const seen = expect(waiting).rejects.toMatchObject({
      code: 1,
      message: `The channel to ${echo.address} was closed`,
    });
    await asked.promise;
    await new Promise((resolve) => setTimeout(resolve, 20));
    await echo.channel.close();
    await seen;
  });
});

async function* chunks(count: number, bytes: number) {
  for (let sent = 0; sent < count; sent++) yield { value: Buffer.alloc(bytes) };
}

async function* endless() {
  for (;;) {
    yield { value: Buffer.alloc(10) };
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function* endlessValues() {
  for (;;) {
    yield { value: 'x' };
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
