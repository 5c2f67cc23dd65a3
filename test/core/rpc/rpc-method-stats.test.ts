import { expect, it } from 'vitest';
import { notFound } from '../../../core/error.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { MetricRegistry } from '../../../core/metrics/metric-registry.ts';
import { ByteStreamDefinition } from '../../../core/rpc/byte-stream-definition.ts';
import { RpcChannel } from '../../../core/rpc/rpc-channel.ts';
import { RpcServer } from '../../../core/rpc/rpc-server.ts';
import { QueryWriteStatusRequest } from '../../../proto/gen/google/bytestream/bytestream.ts';
import { ScrapedMetrics } from '../../setup/scraped-metrics.ts';

const GRPC_HEADER_BYTES = 5;

it('counts the calls of a server by method and code, with their time and bytes', async () => {
  await using server = new RpcServer({ logger: silentLogger });
  const held = Promise.withResolvers<void>();
  server.addService(ByteStreamDefinition, {
    async queryWriteStatus({ resourceName }) {
      if (resourceName === 'none') throw notFound('none');
      return { committedSize: 0, complete: true };
    },
    async *read() {
      yield { data: Buffer.alloc(1000) };
      await held.promise;
      yield { data: Buffer.alloc(1000) };
    },
    async write() {
      return { committedSize: 0 };
    },
  });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  await using channel = new RpcChannel({ address: `127.0.0.1:${port}` });
  const client = channel.client(ByteStreamDefinition);
  const registry = new MetricRegistry();
  registry.add(server);
  const seen = (sample: string) => new ScrapedMetrics(`${registry.text()}`).value(sample);
  const query = 'method="google.bytestream.ByteStream/QueryWriteStatus"';
  const read = 'method="google.bytestream.ByteStream/Read"';

  for (let calls = 0; calls < 3; calls++) await client.queryWriteStatus({ resourceName: 'some' });
  await expect(client.queryWriteStatus({ resourceName: 'none' })).rejects.toThrow('none');
  expect(seen(`ingot_rpc_calls_total{code="OK",${query}}`)).toBe(3);
  expect(seen(`ingot_rpc_calls_total{code="NOT_FOUND",${query}}`)).toBe(1);
  expect(seen(`ingot_rpc_call_seconds_count{${query}}`)).toBe(4);
  const messageBytes = QueryWriteStatusRequest.encode({ resourceName: 'some' }).finish().byteLength;
  expect(seen(`ingot_rpc_received_bytes_total{${query}}`)).toBe(4 * (messageBytes + GRPC_HEADER_BYTES));
  expect(registry.text()).not.toContain('ByteStream/Write"');

  const pieces = client.read({ resourceName: 'some', readOffset: 0, readLimit: 0 })[Symbol.asyncIterator]();
  await pieces.next();
  expect(seen(`ingot_rpc_calls_running{${read}}`)).toBe(1);
  held.resolve();
  await pieces.next();
  expect((await pieces.next()).done).toBe(true);
  await expect.poll(() => seen(`ingot_rpc_calls_running{${read}}`)).toBe(0);
  expect(seen(`ingot_rpc_sent_bytes_total{${read}}`)).toBeGreaterThan(2000);
});

it('counts a call whose client left as CANCELLED', async () => {
  await using server = new RpcServer({ logger: silentLogger });
  const forever = Promise.withResolvers<never>();
  server.addService(ByteStreamDefinition, {
    queryWriteStatus: () => forever.promise,
    async *read() {},
    write: () => forever.promise,
  });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  await using channel = new RpcChannel({ address: `127.0.0.1:${port}` });
  const registry = new MetricRegistry();
  registry.add(server);
  const abort = new AbortController();
  const call = channel
    .client(ByteStreamDefinition)
    .queryWriteStatus({ resourceName: 'x' }, { signal: abort.signal });
  const method = 'method="google.bytestream.ByteStream/QueryWriteStatus"';
  await expect.poll(() => registry.text()).toContain(`ingot_rpc_calls_running{${method}} 1\n`);
  abort.abort();
  await expect(call).rejects.toThrow();
  await expect.poll(() => registry.text()).toContain(`ingot_rpc_calls_total{${method},code="CANCELLED"} 1\n`);
});
