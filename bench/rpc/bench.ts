import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { RpcChannel } from '../../core/rpc/rpc-channel.ts';
import {
  ByteStreamDefinition,
  QueryWriteStatusRequest,
  ReadRequest,
  WriteRequest,
} from '../../proto/gen/google/bytestream/bytestream.ts';
import { grpcMessage, WireClient } from './wire-client.ts';

/**
 * Question: does our server beat grpc-js's, handlers being the same? Each round measures both in turn,
 * in processes of their own; what counts is the median. The processor time a call or a GB costs the server is the
 * steadier number on a machine that others use too. Prints a table, or JSON with --json.
 */
const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1' },
  },
});
const ROUNDS = Number(values.rounds);
const MEASURE_MS = Number(values.seconds) * 1000;
const CALLS_IN_FLIGHT = 64;
const STREAM_BYTES = 256 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
const WARM_UP_PART = 1; // of what is measured, so that it is measured compiled
const SERVERS = ['ingot', 'grpc-js'] as const;

type Numbers = Record<string, number>;

/** A server in a process of its own. */
interface BenchServer {
  readonly port: number;
  readonly child: ChildProcess;
}

const path = (method: string): string => `/google.bytestream.ByteStream/${method}`;

async function cpuUs({ child }: BenchServer): Promise<number> {
  child.send('cpu');
  const [answer] = await once(child, 'message');
  return answer.cpuUs;
}

async function unary(server: BenchServer): Promise<Numbers> {
  const client = new WireClient(server.port, path('QueryWriteStatus'));
  const resourceName = 'blobs/0123456789abcdef/142';
  const request = grpcMessage(QueryWriteStatusRequest.encode({ resourceName }).finish());
  let calls = 0;
  const callFor = async (ms: number): Promise<void> => {
    const endMs = performance.now() + ms;
    const callOneByOne = async (): Promise<void> => {
      for (; performance.now() < endMs; calls++) await client.call(request);
    };
    await Promise.all(Array.from({ length: CALLS_IN_FLIGHT }, callOneByOne));
  };
  await callFor(MEASURE_MS * WARM_UP_PART);
  calls = 0;
  const beforeUs = await cpuUs(server);
  const startMs = performance.now();
  await callFor(MEASURE_MS);
  const seconds = (performance.now() - startMs) / 1000;
  client.close();
  return { 'unary calls/s': calls / seconds, 'CPU µs/call': ((await cpuUs(server)) - beforeUs) / calls };
}

async function read(server: BenchServer): Promise<Numbers> {
  const client = new WireClient(server.port, path('Read'));
  return await streamed(server, 'read', client, async (bytes) => {
    const request = ReadRequest.encode({ resourceName: 'blob', readOffset: 0, readLimit: bytes }).finish();
    const received = await client.call(grpcMessage(request));
    if (received < bytes) throw new Error(`read ${received} bytes, expected ${bytes}`);
  });
}

async function write(server: BenchServer): Promise<Numbers> {
  const client = new WireClient(server.port, path('Write'));
  const data = Buffer.alloc(CHUNK_BYTES, 7);
  const message = { resourceName: '', writeOffset: 0, finishWrite: false, data };
  const request = grpcMessage(WriteRequest.encode(message).finish());
  return await streamed(server, 'write', client, async (bytes) => {
    await client.upload(request, bytes / CHUNK_BYTES);
  });
}

async function streamed(
  server: BenchServer,
  what: string,
  client: WireClient,
  transfer: (bytes: number) => Promise<void>,
): Promise<Numbers> {
  await transfer(STREAM_BYTES * WARM_UP_PART);
  const beforeUs = await cpuUs(server);
  const startMs = performance.now();
  await transfer(STREAM_BYTES);
  const seconds = (performance.now() - startMs) / 1000;
  client.close();
  const megabytes = STREAM_BYTES / 1e6;
  const usedMs = ((await cpuUs(server)) - beforeUs) / 1000;
  return { [`${what} MB/s`]: megabytes / seconds, [`${what} CPU ms/GB`]: (usedMs / megabytes) * 1000 };
}

/** That the server answers what it should is seen with a real client. */
async function check(port: number): Promise<void> {
  await using channel = new RpcChannel({ address: `127.0.0.1:${port}` });
  const { committedSize } = await channel
    .client(ByteStreamDefinition)
    .queryWriteStatus({ resourceName: 'four' });
  if (committedSize !== 4) throw new Error(`expected 4, got ${committedSize}`);
}

async function measure(name: string): Promise<Numbers> {
  const child = fork(`${import.meta.dirname}/server.ts`, [name]);
  try {
    const [{ port }] = await once(child, 'message');
    await check(port);
    const server = { port, child };
    return { ...(await unary(server)), ...(await read(server)), ...(await write(server)) };
  } finally {
    child.disconnect();
    await once(child, 'exit');
  }
}

/** Three digits are all that these measurements are good for. */
function threeDigits(number: number): number {
  return Number(number.toPrecision(3));
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

const runs: Record<string, Numbers[]> = Object.fromEntries(SERVERS.map((name) => [name, []]));
for (let round = 0; round < ROUNDS; round++) {
  for (const name of SERVERS) runs[name]?.push(await measure(name));
}
if (values.json) console.log(JSON.stringify({ node: process.version, rounds: ROUNDS, runs }));
else {
  const rows = Object.entries(runs).map(([name, measured]) => {
    const columns = Object.keys(measured[0] ?? {});
    const medians = columns.map((column) => {
      return [column, threeDigits(median(measured.map((numbers) => numbers[column] ?? Number.NaN)))];
    });
    return [name, Object.fromEntries(medians)];
  });
  console.table(Object.fromEntries(rows));
}
