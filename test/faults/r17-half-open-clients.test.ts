import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { bytesOf } from '../../core/streams.ts';
import { sampleBlob } from '../cache/bytes.ts';
import { ScrapedMetrics } from '../setup/scraped-metrics.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { fault, type Saw } from './fault.ts';
import { ServerUnderFault } from './server-under-fault.ts';
import { StuckClient } from './stuck-client.ts';
import { TwoHosts } from './two-hosts.ts';

const run = promisify(execFile);
/** The bar: a client that answers no more is let go within this time. */
const FREED_MS = 30_000;
/** Memory that stuck transfers may cost. */
const GROWTH_BYTES = 64 * 1024 * 1024;
const LARGE = 64 * 1024 * 1024;
const DROPPED = 'dropped a connection that does not answer';

/** Waits until the server says that it has let so many clients go. */
async function letGo(cache: ServerUnderFault, clients: number, saw: Saw): Promise<void> {
  const before = await cache.residentBytes();
  const startedMs = performance.now();
  const isLetGo = () => cache.process.stderr.split(DROPPED).length - 1 === clients;
  await waitUntil(`${clients} clients to be let go`, isLetGo, { timeoutMs: FREED_MS + 5000, pollMs: 100 });
  const ms = performance.now() - startedMs;
  const grown = (await cache.residentBytes()) - before;
  saw(
    `${clients} clients were let go after ${(ms / 1000).toFixed(1)} s, memory ${(grown / 2 ** 20).toFixed(0)} MiB more`,
  );
  expect(ms).toBeLessThan(FREED_MS);
  expect(grown).toBeLessThan(GROWTH_BYTES);
}

fault(
  'R17',
  'clients are stopped in mid-upload and mid-download',
  async (saw) => {
    await using data = await tempFolder();
    await using cache = await ServerUnderFault.start(data.path);
    const { bytes, digest } = sampleBlob(LARGE, 17_000);
    await cache.blobs.write(digest, bytesOf(bytes));
    const { digest: uploaded } = sampleBlob(1_000_000, 17_001);
    const resourceName = `uploads/${randomUUID()}/blobs/${uploaded}`;
    await using writer = await StuckClient.start([
      'write',
      cache.grpc,
      resourceName,
      '17001',
      '1000000',
      '500000',
    ]);
    await using reader = await StuckClient.start(['read', cache.grpc, `blobs/${digest}`, '100000']);
    writer.stop();
    reader.stop();
    await letGo(cache, 2, saw);
    expect(await cache.blobs.findMissing([uploaded])).toEqual([uploaded]);
    saw('nothing of the upload is committed');
  },
  { concurrent: true },
);

const canMakeNetworks =
  process.getuid?.() === 0 &&
  (await run('ip', ['netns', 'list']).then(
    () => true,
    () => false,
  ));

fault(
  'R17',
  'the network drops all packets in mid-upload and mid-download',
  async (saw) => {
    await using data = await tempFolder();
    await using network = await TwoHosts.make();
    await using cache = await ServerUnderFault.start(data.path, {
      grpc: `${network.serverIp}:0`,
      flags: ['--allow-anonymous', 'true'],
    });
    const { bytes, digest } = sampleBlob(LARGE, 17_002);
    await cache.blobs.write(digest, bytesOf(bytes));
    const { digest: uploaded } = sampleBlob(1_000_000, 17_003);
    const resourceName = `uploads/${randomUUID()}/blobs/${uploaded}`;
    await using _writer = await StuckClient.start(
      ['write', cache.grpc, resourceName, '17003', '1000000', '500000'],
      network.onOtherHost,
    );
    await using _reader = await StuckClient.start(
      ['read', cache.grpc, `blobs/${digest}`, '100000'],
      network.onOtherHost,
    );
    await network.cut();
    await letGo(cache, 2, saw);
    expect(await cache.blobs.findMissing([uploaded])).toEqual([uploaded]);
  },
  { concurrent: true, skip: canMakeNetworks ? undefined : 'a network of its own takes root and iproute2' },
);

fault(
  'R17',
  'over HTTP: clients are stopped in mid-upload and mid-download',
  async (saw) => {
    await using data = await tempFolder();
    await using cache = await ServerUnderFault.start(data.path, { isTimed: true });
    const { bytes, digest } = sampleBlob(LARGE, 17_004);
    const url = `http://${cache.http}/cas`;
    expect((await fetch(`${url}/${digest.hash}`, { method: 'PUT', body: bytes })).status).toBe(200);
    const { digest: uploaded } = sampleBlob(8_000_000, 17_005);
    const before = await cache.residentBytes();
    const curl = (...args: string[]) =>
      spawn('curl', ['-sS', ...args], { stdio: ['pipe', 'ignore', 'ignore'] });
    const reader = curl('--limit-rate', '100k', '-o', '/dev/null', `${url}/${digest.hash}`);
    const writer = curl('-H', 'Expect:', '-T', '-', `${url}/${uploaded.hash}`);
    try {
      writer.stdin.on('error', () => undefined);
      writer.stdin.write(bytes.subarray(0, 6_000_000));
      const incoming = () => readdir(cache.folder('incoming'));
      await waitUntil('the upload to be under way', async () => (await incoming()).length === 1);
      reader.kill('SIGSTOP');
      writer.kill('SIGSTOP');
      const startedMs = performance.now();
      const isLetGo = async () => {
        const metrics = new ScrapedMetrics(await (await fetch(`http://${cache.http}/metrics`)).text());
        const left = metrics.value('ingot_http_requests_total{method="GET",status="499",view="cas"}');
        return left === 1 && (await incoming()).length === 0;
      };
      await waitUntil('both to be let go', isLetGo, { timeoutMs: FREED_MS + 5000, pollMs: 100 });
      const ms = performance.now() - startedMs;
      const grown = (await cache.residentBytes()) - before;
      saw(
        `both were let go after ${(ms / 1000).toFixed(1)} s, memory ${(grown / 2 ** 20).toFixed(0)} MiB more`,
      );
      expect(ms).toBeLessThan(FREED_MS);
      expect(grown).toBeLessThan(GROWTH_BYTES);
    } finally {
      for (const client of [reader, writer]) client.kill('SIGKILL');
    }
  },
  { concurrent: true },
);
