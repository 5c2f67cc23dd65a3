import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import { ByteStreamDefinition } from '../../proto/gen/google/bytestream/bytestream.ts';
import { sampleBytes } from '../cache/bytes.ts';

// A client that uploads the first bytes of a blob and then does nothing more: ADDRESS RESOURCE SEED SIZE SENT.
const [address = '', resourceName = '', seed = '0', size = '0', sent = '0'] = process.argv.slice(2);
const bytes = sampleBytes(Number(size), Number(seed)).subarray(0, Number(sent));

async function* requests() {
  yield { resourceName, writeOffset: 0, data: bytes, finishWrite: false };
  await new Promise((done) => setTimeout(done, 600_000));
}

await new RpcChannel({ address }).client(ByteStreamDefinition).write(requests());
