import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PrivateNatsServer } from '../../cli/private-nats-server.ts';
import { findProgram, withSystemFolders } from '../../cli/toolchain/find-program.ts';
import { NatsMessageBus } from '../../core/bus/nats-message-bus.ts';
import { silentLogger } from '../../core/log/logger.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import { tempFolder } from './temp-folder.ts';

const program = await findProgram('nats-server', withSystemFolders(process.env.PATH));
const options = () => ({
  program: program ?? '',
  folder: tempFolder(),
  path: process.env.PATH,
  logger: silentLogger,
});

async function ping(bus: NatsMessageBus): Promise<string> {
  return String(Buffer.from(await bus.request('p', Buffer.from(''), { timeoutMs: 500 })));
}

describe.skipIf(program === undefined)('PrivateNatsServer', () => {
  it('carries messages for those who have its token, and nobody else', async () => {
    await using server = await PrivateNatsServer.start(options());
    await using bus = await NatsMessageBus.connect({ url: server.url, name: 'test', logger: silentLogger });
    await bus.subscribe('p', async () => Buffer.from('pong'));
    expect(await ping(bus)).toBe('pong');
    const url = server.url.replace(/\/\/.*@/, '//');
    await expect(
      NatsMessageBus.connect({ url, name: 'stranger', logger: silentLogger }),
    ).rejects.toMatchObject({ code: Code.UNAUTHENTICATED });
  });

  it('comes back on the same port after it is killed', async () => {
    await using server = await PrivateNatsServer.start(options());
    await using bus = await NatsMessageBus.connect({ url: server.url, name: 'test', logger: silentLogger });
    await bus.subscribe('p', async () => Buffer.from('pong'));
    const { url, pid = 0 } = server;
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => ping(bus).catch(() => 'away'), { timeout: 8_000, interval: 100 }).toBe('pong');
    expect(server.url).toBe(url);
    expect(server.pid).not.toBe(pid);
  });

  it('leaves no process and no file behind', async () => {
    const start = options();
    const server = await PrivateNatsServer.start(start);
    const { pid = 0 } = server;
    await server.close();
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    expect(readdirSync(start.folder)).toEqual([]);
  });

  it('does not show its token to other users in its command line', async () => {
    await using server = await PrivateNatsServer.start(options());
    const [, token = ''] = /\/\/(.*)@/.exec(server.url) ?? [];
    const commandLine = execFileSync('cat', [`/proc/${server.pid}/cmdline`]).toString();
    expect(token).toMatch(/^[0-9a-f]{48}$/);
    expect(commandLine).not.toContain(token);
  });

  it('says why a program does not start', async () => {
    await expect(PrivateNatsServer.start({ ...options(), program: '/bin/false' })).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'start /bin/false: it did not say its port: no message',
    });
  });
});
