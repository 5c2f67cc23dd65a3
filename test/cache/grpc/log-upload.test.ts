import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PushSource } from '../../../cache/grpc/push-source.ts';
import type { ServiceClient } from '../../../core/rpc/rpc-service.ts';
import { ByteStreamDefinition } from '../../../proto/gen/google/bytestream/bytestream.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { openCacheServer } from '../cache-server.ts';
import { message, messages, OpenWrite } from '../open-write.ts';

let server: Awaited<ReturnType<typeof openCacheServer>>;
let client: ServiceClient<typeof ByteStreamDefinition>;

beforeAll(async () => {
  server = await openCacheServer();
  client = server.channel.client(ByteStreamDefinition);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function collect(resourceName: string, readOffset = 0, readLimit = 0): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const { data } of client.read({ resourceName, readOffset, readLimit })) chunks.push(data);
  return Buffer.concat(chunks);
}

describe('ByteStream over logs', () => {
  const name = () => `logs/${randomUUID()}/stdout`;

  it('gives a reader what a writer sends, while it sends', async () => {
    const resourceName = name();
    const write = new OpenWrite(client);
    const seen: string[] = [];
    const next = new PushSource();
    const reading = (async () => {
      for await (const { data } of client.read({ resourceName, readOffset: 0, readLimit: 0 })) {
        seen.push(Buffer.from(data).toString());
        next.push(Buffer.from('!'));
      }
      next.end();
    })();
    write.send(message(resourceName, 0, Buffer.from('one ')));
    await next.next();
    write.send(message('', 4, Buffer.from('two')));
    await next.next();
    expect(seen).toEqual(['one ', 'two']);
    write.send(message('', 7, undefined, true));
    expect(await write.response).toEqual({ committedSize: 7 });
    await reading;
    expect(await collect(resourceName, 4, 2)).toEqual(Buffer.from('tw'));
    expect(await client.queryWriteStatus({ resourceName })).toEqual({ committedSize: 7, complete: true });
  });

  it('lets a writer go on where its broken stream was', async () => {
    const resourceName = name();
    expect(await client.write(messages(message(resourceName, 0, Buffer.from('half'))))).toEqual({
      committedSize: 4,
    });
    expect(await client.queryWriteStatus({ resourceName })).toEqual({ committedSize: 4, complete: false });
    await expect(
      client.write(messages(message(resourceName, 5, Buffer.from('!'), true))),
    ).rejects.toMatchObject({ code: Code.OUT_OF_RANGE });
    await client.write(messages(message(resourceName, 4, Buffer.from(' whole'), true)));
    expect((await collect(resourceName)).toString()).toBe('half whole');
    await expect(
      client.write(messages(message(resourceName, 10, Buffer.from('!'), true))),
    ).rejects.toMatchObject({
      code: Code.ABORTED,
      message: `Write "${resourceName}": the log has ended at 10 bytes`,
    });
  });
});
