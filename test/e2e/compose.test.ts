import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { NatsServer } from '../setup/nats-server.ts';
import { tempFolder } from '../setup/temp-folder.ts';
import { IngotProcess, ingot } from './cli-process.ts';

const FILE = join(import.meta.dirname, '../../docker-compose.yml');

interface Service {
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly image?: string;
}

describe('docker-compose.yml', () => {
  const started: IngotProcess[] = [];
  afterEach(async () => {
    for (const process of started.splice(0).reverse()) expect((await process.stop()).code).toBe(0);
  });

  it('is accepted by docker-compose, with the GPU worker too', async () => {
    const run = promisify(execFile);
    await run('docker-compose', ['-f', FILE, 'config', '--quiet']);
    const { stdout } = await run('docker-compose', ['-f', FILE, '--profile', 'gpu', 'config', '--services']);
    expect(stdout.trim().split('\n').sort()).toEqual(['cache', 'gpu-worker', 'nats', 'scheduler', 'worker']);
  });

  it('has command lines and variables that make a farm when run as processes', async () => {
    await using folder = await tempFolder();
    await using nats = await NatsServer.start();
    const { services } = parse(await readFile(FILE, 'utf8'), { merge: true }) as {
      services: Record<string, Service>;
    };
    // What differs between containers and processes: names of hosts, ports that may be taken, and the volume.
    const addresses = new Map([['nats:4222', `127.0.0.1:${nats.port}`]]);
    const translate = (word: string) => {
      const local = word.replace('0.0.0.0:8', '127.0.0.1:0#').replace(/#\d+$/, '');
      return [...addresses].reduce((text, [from, to]) => text.replace(from, to), local);
    };
    const start = async (name: string) => {
      const { command = [], environment = {} } = services[name] ?? {};
      expect(environment.INGOT_DATA).toBe('/data');
      const process = new IngotProcess(command.map(translate), {
        environment: { ...environment, INGOT_DATA: join(folder.path, name) },
      });
      started.push(process);
      return (await process.line('ready')).match(/grpc=(\S+)/)?.[1] ?? '';
    };

    addresses.set('cache:8982', await start('cache'));
    const endpoint = await start('scheduler');
    await start('worker');
    await start('gpu-worker');

    const run = await ingot([
      '--endpoint',
      endpoint,
      'run',
      '--platform',
      'pool=gpu',
      '--',
      'echo',
      'from the farm',
    ]);
    expect(run, run.stderr).toMatchObject({ code: 0, stdout: 'from the farm\n' });
    const status = await ingot(['--endpoint', endpoint, '--json', 'status']);
    expect(JSON.parse(status.stdout).workers).toHaveLength(2);
  });
});
