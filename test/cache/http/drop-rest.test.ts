import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { dropRest } from '../../../cache/http/drop-rest.ts';
import { RawHttp } from '../../setup/raw-http.ts';

afterEach(() => {
  vi.useRealTimers();
});

it('waits half a minute for a client that was refused and neither sends nor leaves', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  using client = new RawHttp((server.address() as AddressInfo).port);
  await client.head('PUT /x', 'Content-Length: 10');
  const [request] = await once(server, 'request');
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const dropped = dropRest(request);
  await vi.advanceTimersByTimeAsync(29_999);
  expect(request.destroyed).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await dropped;
  await client.closed();
  server.close();
});
