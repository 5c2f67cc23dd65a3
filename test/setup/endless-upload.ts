import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import { EchoDefinition } from './rpc.ts';

/** A process that uploads to an Echo service for ever, for tests that kill it. */
const [address = ''] = process.argv.slice(2);
const channel = new RpcChannel({ address });

async function* requests() {
  for (;;) {
    yield { value: Buffer.alloc(1000) };
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

await channel.client(EchoDefinition).upload(requests());
