import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import { ByteStreamDefinition } from '../../proto/gen/google/bytestream/bytestream.ts';
import { sampleBytes } from '../cache/bytes.ts';

// A client in the midst of a transfer, to be stopped there. Says `under way` once it is.
//   write ADDRESS RESOURCE SEED SIZE SENT: sends the first bytes, and then one more each 100 ms
//   read  ADDRESS RESOURCE BYTES_PER_SECOND: reads that fast
const [mode = '', address = '', resourceName = '', ...rest] = process.argv.slice(2);
const client = new RpcChannel({ address }).client(ByteStreamDefinition);
const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

async function* requests(seed: number, size: number, sent: number) {
  const bytes = sampleBytes(size, seed);
  yield { resourceName, writeOffset: 0, data: bytes.subarray(0, sent), finishWrite: false };
  console.log('under way');
  for (let offset = sent; offset < size; offset++) {
    await pause(100);
    yield { resourceName, writeOffset: offset, data: bytes.subarray(offset, offset + 1), finishWrite: false };
  }
}

if (mode === 'write') {
  const [seed = 0, size = 0, sent = 0] = rest.map(Number);
  await client.write(requests(seed, size, sent));
} else {
  const [bytesPerSecond = 1024] = rest.map(Number);
  for await (const { data } of client.read({ resourceName, readOffset: 0, readLimit: 0 })) {
    console.log('under way');
    await pause((data.length / bytesPerSecond) * 1000);
  }
}
