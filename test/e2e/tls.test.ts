import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CertificateFiles, TestAuthority } from '../setup/certificates.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { type EndedCommand, IngotProcess, ingot } from './cli-process.ts';
import { sandboxLevel } from './up-farm.ts';

const run = promisify(execFile);

let folder: string;
let authority: TestAuthority;
let server: CertificateFiles;
let up: IngotProcess;
let grpc: string;
let http: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ingot-tls-'));
  authority = await TestAuthority.make(join(folder, 'authority'));
  server = await authority.server();
  const rules = ['ci-*=publisher', 'looker=reader'].flatMap((rule) => ['--tls-client-role', rule]);
  const identity = ['--tls-cert', server.cert, '--tls-key', server.key, '--tls-client-ca', authority.ca];
  const addresses = ['--grpc', '127.0.0.1:0', '--http', '127.0.0.1:0'];
  const data = ['--data', join(folder, 'data'), '--sandbox', sandboxLevel];
  up = new IngotProcess(['up', ...data, ...addresses, ...identity, ...rules]);
  const ready = await up.line('ready');
  grpc = ready.match(/grpc=\S+:(\d+)/)?.[1] ?? '';
  http = ready.match(/http=\S+:(\d+)/)?.[1] ?? '';
});
afterAll(async () => {
  expect((await up?.stop())?.code).toBe(0);
  await rm(folder, { recursive: true, force: true });
});

/** `ingot ARGS…` over TLS, with a certificate or without. */
function client(files: CertificateFiles | undefined, ...args: readonly string[]): Promise<EndedCommand> {
  const own = files === undefined ? [] : ['--tls-client-cert', files.cert, '--tls-client-key', files.key];
  const endpoint = ['--endpoint', `grpcs://127.0.0.1:${grpc}`, '--tls-ca', authority.ca];
  return ingot([...endpoint, ...own, ...args], { cwd: folder });
}

// Not a real Bazel: Debian's 4.2.3, the one at hand, ends with "JDK provider does not support ALPN protocol" at any
// grpcs:// address.
describe('a farm with TLS and client certificates', () => {
  it('runs an action for a client whose certificate has a role', async () => {
    const ended = await client(await authority.client('ci-7'), 'run', '--', 'echo', 'over TLS');
    expect(ended, ended.stderr).toMatchObject({ code: 0, stdout: 'over TLS\n' });
  });

  it('turns away a client without a certificate, with a stranger’s, and with one that has no role', async () => {
    const none = await client(undefined, 'status');
    expect(none).toMatchObject({ code: 77 });
    expect(none.stderr).toContain('no credential came with the call, expected a client certificate');
    const others = await TestAuthority.make(join(folder, 'others'));
    const stranger = await client(await others.client('ci-8'), 'status');
    expect(stranger).toMatchObject({ code: 77 });
    expect(stranger.stderr).toMatch(/the client certificate "ci-8" is not accepted: [A-Z_]+/);
    const roleless = await client(await authority.client('someone'), 'status');
    expect(roleless).toMatchObject({ code: 77 });
    expect(roleless.stderr).toContain(
      'the client certificate "someone" is good, but no rule gives it a role',
    );
  });

  it('lets a reader look and not run', async () => {
    const looker = await authority.client('looker');
    const refused = await client(looker, 'run', '--', 'true');
    expect(refused).toMatchObject({ code: 77 });
    expect(refused.stderr).toContain('looker lacks the right write');
  });

  it('is not believed by a client that does not know its authority, and does not speak clear text', async () => {
    const files = await authority.client('ci-9');
    const own = ['--tls-client-cert', files.cert, '--tls-client-key', files.key];
    const wary = await ingot(['--endpoint', `grpcs://127.0.0.1:${grpc}`, ...own, 'status']);
    expect(wary.code).toBe(69);
    expect(wary.stderr).toMatch(/unable to verify|self-signed|certificate/);
    expect((await ingot(['--endpoint', `127.0.0.1:${grpc}`, 'status'])).code).toBe(69);
  });

  it('serves curl by certificate', async () => {
    const url = `https://127.0.0.1:${http}/status`;
    const status = async (files?: CertificateFiles) => {
      const own = files === undefined ? [] : ['--cert', files.cert, '--key', files.key];
      const flags = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '--cacert', authority.ca];
      return (await run('curl', [...flags, ...own, url])).stdout;
    };
    expect(await status(await authority.client('looker'))).toBe('200');
    expect(await status()).toBe('401');
  });

  it('takes up a renewed certificate without a restart', async () => {
    const serial = (port: string, ALPNProtocols: string[]) =>
      new Promise<string>((resolve, reject) => {
        const options = { port: Number(port), host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols };
        const socket = connect(options, () => {
          resolve(socket.getPeerCertificate().serialNumber);
          socket.destroy();
        });
        socket.on('error', reject);
      });
    const before = await serial(grpc, ['h2']);
    expect(await serial(http, ['http/1.1'])).toBe(before);
    const renewed = await authority.server('renewed');
    await copyFile(renewed.key, server.key);
    await copyFile(renewed.cert, server.cert);
    await waitUntil('both ports to show the new one', async () => {
      const serials = [await serial(grpc, ['h2']), await serial(http, ['http/1.1'])];
      return serials.every((value) => value !== before);
    });
    const ended = await client(await authority.client('ci-10'), 'status');
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
  });
});
