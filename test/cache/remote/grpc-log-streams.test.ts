import { describe, expect, it } from 'vitest';
import { PushSource } from '../../../cache/grpc/push-source.ts';
import { GrpcLogStreams } from '../../../cache/remote/grpc-log-streams.ts';
import { delay, linkedAbort } from '../../../core/abort.ts';
import { cancelled } from '../../../core/error.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { RpcChannel } from '../../../core/rpc/rpc-channel.ts';
import { RpcServer } from '../../../core/rpc/rpc-server.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { openCacheServer } from '../cache-server.ts';

const LOG = 'logs/quiet/stdout';

describe('GrpcLogStreams', () => {
  it('holds no call open for a log in which nothing is written', async () => {
    await using cache = await openCacheServer();
    const rpc = new RpcServer({ logger: silentLogger });
    cache.addServices(rpc);
    const { port } = await rpc.listen({ host: '127.0.0.1', port: 0 });
    await using channel = new RpcChannel({ address: `127.0.0.1:${port}` });
    const logStreams = new GrpcLogStreams({ channel });
    expect(await logStreams.status(LOG)).toBeUndefined();

    const source = new PushSource();
    const pulled = Promise.withResolvers<void>();
    const watched = (async function* () {
      pulled.resolve();
      yield* source;
    })();
    using abort = linkedAbort();
    const writing = logStreams.write(LOG, watched, { signal: abort.signal });
    await pulled.promise;
    // For a call that runs it would wait until its grace is over.
    const closed = rpc.close({ graceMs: 3_600_000 }).then(() => 'closed');
    expect(await Promise.race([closed, delay(5_000, { signal: abort.signal })])).toBe('closed');
    abort.abort(cancelled('enough'));
    await expect(writing).rejects.toMatchObject({ code: Code.CANCELLED, message: 'enough' });
  });

  it('ends a log in which nothing was written', async () => {
    await using cache = await openCacheServer();
    const logStreams = new GrpcLogStreams({ channel: cache.channel });
    const source = new PushSource();
    source.end();
    await logStreams.write(LOG, source);
    expect(await logStreams.status(LOG)).toEqual({ sizeBytes: 0, ended: true });
  });
});
