import { expect, it } from 'vitest';
import { notFound } from '../../../core/error.ts';
import { OneResponse } from '../../../core/rpc/one-response.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { EchoDefinition, startEcho } from '../../setup/rpc.ts';

it('is a whole answer of a method with a response stream', async () => {
  await using echo = await startEcho({
    download: async ({ value }) => new OneResponse({ value: Buffer.from(value) }),
  });
  const client = echo.channel.client(EchoDefinition);
  for (const value of ['abc', '', 'x'.repeat(300_000)]) {
    const responses = await Array.fromAsync(client.download({ value }));
    expect(responses.map((response) => Buffer.from(response.value).toString())).toEqual([value]);
  }
});

it('leaves a handler free to return a stream, or to fail before there is one', async () => {
  await using echo = await startEcho({
    async download({ value }) {
      if (value === 'none') throw notFound('there is none');
      return (async function* () {
        yield { value: Buffer.from('1') };
        yield { value: Buffer.from('2') };
      })();
    },
  });
  const client = echo.channel.client(EchoDefinition);
  expect(await Array.fromAsync(client.download({ value: 'two' }))).toHaveLength(2);
  await expect(Array.fromAsync(client.download({ value: 'none' }))).rejects.toMatchObject({
    code: Code.NOT_FOUND,
    message: 'there is none',
  });
});
