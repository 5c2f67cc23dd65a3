import { GrpcBlobStore } from '../../cache/grpc-blob-store.ts';
import { blobStoreContract } from './blob-store-contract.ts';
import { openCacheServer } from './cache-server.ts';

blobStoreContract('GrpcBlobStore over a real server', async () => {
  const server = await openCacheServer();
  return {
    store: new GrpcBlobStore({ channel: server.channel, instanceName: 'team/a' }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
});
