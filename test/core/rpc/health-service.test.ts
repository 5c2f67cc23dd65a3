import { describe, expect, it } from 'vitest';
import { throwIfAborted } from '../../../core/abort.ts';
import { anonymous } from '../../../core/caller.ts';
import { cancelled } from '../../../core/error.ts';
import { HealthService, WHOLE_SERVER } from '../../../core/rpc/health-service.ts';
import type { CallContext } from '../../../core/rpc/rpc-service.ts';
import {
  HealthDefinition,
  HealthCheckResponse_ServingStatus as Status,
} from '../../../proto/gen/grpc/health/v1/health.ts';
import { startEcho } from '../../setup/rpc.ts';

const context = (signal: AbortSignal): CallContext => ({
  signal,
  throwIfAborted: () => throwIfAborted(signal),
  deadlineMs: undefined,
  metadata: new Map(),
  peer: 'test',
  requestMetadata: undefined,
  invocationId: undefined,
  caller: anonymous,
});

describe('HealthService', () => {
  it('knows the server and the services that were added to it', async () => {
    await using echo = await startEcho();
    const client = echo.channel.client(HealthDefinition);
    expect(await client.check({ service: '' })).toEqual({ status: Status.SERVING });
    expect(await client.check({ service: 'ingot.test.Echo' })).toEqual({ status: Status.SERVING });
    echo.server.health.setServing('ingot.test.Echo', false);
    expect(await client.list({})).toEqual({
      statuses: { '': { status: Status.SERVING }, 'ingot.test.Echo': { status: Status.NOT_SERVING } },
    });
  });

  it('answers for a service it does not know with NOT_FOUND', async () => {
    await expect(new HealthService().check({ service: 'who' })).rejects.toMatchObject({
      code: 5,
      message: 'Check the health of "who": there is no such service here',
    });
  });

  it('tells a watcher the state now and each change, also of a service that comes later', async () => {
    const health = new HealthService();
    const watching = health.watch({ service: 'later' }, context(new AbortController().signal));
    expect(await watching.next()).toEqual({ done: false, value: { status: Status.SERVICE_UNKNOWN } });
    const next = watching.next();
    health.setServing('other', true);
    health.setServing('later', true);
    expect(await next).toEqual({ done: false, value: { status: Status.SERVING } });
    health.setServing('later', false);
    expect(await watching.next()).toEqual({ done: false, value: { status: Status.NOT_SERVING } });
    await watching.return(undefined);
  });

  it('ends a watch when its client goes', async () => {
    const health = new HealthService();
    health.setServing(WHOLE_SERVER, true);
    const controller = new AbortController();
    const watching = health.watch({ service: '' }, context(controller.signal));
    await watching.next();
    const next = watching.next();
    controller.abort(cancelled('gone'));
    expect(await next).toEqual({ done: true, value: undefined });
  });

  it('serves nothing once it is drained', async () => {
    const health = new HealthService();
    health.setServing(WHOLE_SERVER, true);
    const watching = health.watch({ service: '' }, context(new AbortController().signal));
    await watching.next();
    health.drain();
    expect(await health.check({ service: '' })).toEqual({ status: Status.NOT_SERVING });
    health.setServing(WHOLE_SERVER, true);
    expect(await health.check({ service: '' })).toEqual({ status: Status.NOT_SERVING });
    expect(await watching.next()).toEqual({ done: false, value: { status: Status.NOT_SERVING } });
    await expect(watching.next()).rejects.toMatchObject({
      code: 14,
      message: 'Watch the health of "": the server is shutting down',
    });
  });
});
