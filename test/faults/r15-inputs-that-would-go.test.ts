import { expect } from 'vitest';
import { FarmConnection } from '../../cli/client/farm-connection.ts';
import { bytesOf } from '../../core/streams.ts';
import { sampleBlob } from '../cache/bytes.ts';
import { ClientRun } from '../setup/farm-client.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { fault } from './fault.ts';
import { ServerUnderFault } from './server-under-fault.ts';

const skip = process.getuid?.() === 0 ? undefined : 'the sandbox of a farm takes root';
const CACHE_BYTES = 8 * 2 ** 20;
/** Several times what the cache keeps. */
const FLOOD_BLOBS = 640;
const FLOOD_BLOB_BYTES = 50_000;

interface StoreStats {
  readonly evictedBlobs: number;
}

fault(
  'R15',
  'a cache is flooded while an action waits for its turn, and while it runs',
  async (saw) => {
    await using data = await tempFolder();
    const flags = ['--slots', '1', '--cache-bytes', `${CACHE_BYTES}B`];
    await using farm = await ServerUnderFault.start(data.path, { role: 'up', flags });
    const address = { endpoint: farm.grpc, instanceName: '', security: { tls: false } };
    await using connection = new FarmConnection(address, { version: 'test' });
    const files = Object.fromEntries(
      Array.from({ length: 20 }, (_, index) => [
        `in${String(index).padStart(2, '0')}`,
        `input ${index} `.repeat(500),
      ]),
    );
    const first = new ClientRun(connection, { script: 'sleep 3; echo one > out', doNotCache: true });
    await expect.poll(() => first.updates.length, { timeout: 20_000 }).toBeGreaterThan(0);
    // Held by no build of a client's: the farm alone must see to it that its inputs stay.
    const second = new ClientRun(connection, { script: 'sleep 1; cat in* | wc -c > out', files });
    await expect.poll(() => second.updates.length, { timeout: 20_000 }).toBeGreaterThan(0);

    for (let index = 0; index < FLOOD_BLOBS; index++) {
      const { digest, bytes } = sampleBlob(FLOOD_BLOB_BYTES, 15_000_000 + index);
      await farm.blobs.write(digest, bytesOf(bytes));
    }
    const { store } = (await farm.status()) as { store: StoreStats };
    expect(store.evictedBlobs).toBeGreaterThan(FLOOD_BLOBS / 4);
    const result = await second.result();
    expect(result.exitCode).toBe(0);
    await first.result();
    saw(
      `${store.evictedBlobs} blobs were evicted around it; the action found all of its inputs and ended with 0`,
    );
  },
  { skip },
);
