import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ClientRun } from '../setup/farm-client.ts';
import { strayProcesses } from '../setup/farm-invariants.ts';
import { expectResult, startGatedClient } from '../setup/gated-client.ts';
import { plainScript } from '../setup/gated-run.ts';
import { midFetch, midUpload } from '../setup/mid-write.ts';
import { sharedCluster } from '../setup/shared-cluster.ts';
import { waitUntil } from '../setup/wait-until.ts';

const MIB = 1024 * 1024;

const shared = sharedCluster({
  workers: 2,
  workerFlags: ['--heartbeat-interval', '300ms', '--slots', '2', '--kill-grace', '500ms'],
});
const inClient = (path: string) => join(shared.cluster.clientFolder, path);

describe('kill -9 of the cache', () => {
  it('while inputs are uploaded: the client begins again, and what was acknowledged is there', async () => {
    await writeFile(inClient('early'), 'acknowledged before\n');
    const [digest = ''] = (await shared.cluster.ingot('upload', 'early')).stdout.split(' ');
    await writeFile(inClient('large'), 'first bytes');
    await truncate(inClient('large'), 64 * MIB);
    const client = shared.cluster.client(
      'run',
      '--input',
      'large',
      '--',
      'sh',
      '-c',
      'stat -c %s large; head -c 11 large',
    );
    await midUpload(shared.cluster, shared.cluster.cache);
    await shared.cluster.cache.kill();
    await shared.cluster.cache.start();
    const { code, stdout, stderr } = await client.ended;
    expect(code, stderr).toBe(0);
    expect(stdout).toBe(`${64 * MIB}\nfirst bytes`);
    expect(await shared.cluster.ingot('download', digest, 'early-back')).toMatchObject({ code: 0 });
    expect(await readFile(inClient('early-back'), 'utf8')).toBe('acknowledged before\n');
  });

  it('while an action runs and ends: its result is stored when the cache is back', async () => {
    const gated = await startGatedClient(shared.cluster, 'cacheless');
    await shared.cluster.cache.kill();
    await gated.run.release();
    await waitUntil('the action to end', async () => {
      const sandboxed = await strayProcesses(shared.cluster);
      return sandboxed.every((line) => !line.includes('bwrap'));
    });
    await shared.cluster.cache.start();
    await expectResult(shared.cluster, gated, gated.run.id);
  });

  it('while a worker fetches inputs: they are fetched when it is back', async () => {
    await writeFile(inClient('wanted'), 'wanted by a worker');
    await truncate(inClient('wanted'), 64 * MIB);
    const script = 'stat -c %s wanted; head -c 18 wanted';
    const client = shared.cluster.client('run', '--input', 'wanted', '--', 'sh', '-c', script);
    await midFetch(shared.cluster, shared.cluster.cache);
    await shared.cluster.cache.kill();
    await shared.cluster.cache.start();
    const { code, stdout, stderr } = await client.ended;
    expect(code, stderr).toBe(0);
    expect(stdout).toBe(`${64 * MIB}\nwanted by a worker`);
  });

  // Small files are records of a segment; a large one is a file, which only then is noted in a segment.
  describe.each([
    ['cas.segment_half_written', 'small'],
    ['cas.segment_after_write', 'small'],
    ['cas.after_rename', 'large '.repeat(20_000)],
    ['cas.before_reply', 'small'],
  ])('at %s', (point, text) => {
    it('of an input: the client asks again, and has its result', async () => {
      await shared.cluster.cache.kill();
      await shared.cluster.cache.start(['--fail', `${point}:1`]);
      const spec = { script: plainScript(`input at ${point}`), files: { input: `${point} ${text}` } };
      const client = new ClientRun(shared.farm, spec);
      expect((await shared.cluster.cache.died())?.signal).toBe('SIGKILL');
      await shared.cluster.cache.start();
      expect(await new ClientRun(shared.farm, spec).runId()).toBe(await client.runId());
    });

    it.skipIf(text !== 'small')(
      'of an output: the worker asks again, and the result is that of the one run',
      async () => {
        const gated = await startGatedClient(shared.cluster, `output-at-${point}`);
        await shared.cluster.cache.kill();
        await shared.cluster.cache.start(['--fail', `${point}:1`]);
        await gated.run.release();
        expect((await shared.cluster.cache.died())?.signal).toBe('SIGKILL');
        await shared.cluster.cache.start();
        await expectResult(shared.cluster, gated, gated.run.id);
      },
    );
  });

  it.each(['ac.before_put', 'ac.after_put'])('at %s: the result is filed when it is back', async (point) => {
    await shared.cluster.cache.kill();
    await shared.cluster.cache.start(['--fail', `${point}:1`]);
    const spec = { script: plainScript(`killed at ${point}`) };
    const client = new ClientRun(shared.farm, spec);
    expect((await shared.cluster.cache.died())?.signal).toBe('SIGKILL');
    await shared.cluster.cache.start();
    const id = await client.runId();
    expect(await new ClientRun(shared.farm, spec).runId()).toBe(id);
    expect(client.attempts).toEqual([]);
  });
});
