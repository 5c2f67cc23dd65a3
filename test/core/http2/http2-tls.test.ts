import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { join } from 'node:path';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeHeaders } from '../../../core/http2/hpack-encoder.ts';
import { startBare } from '../../setup/frame-client.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

const run = promisify(execFile);
const headers = encodeHeaders([[':status', '200']]);
const trailers = encodeHeaders([['grpc-status', '0']]);

let folder: Awaited<ReturnType<typeof tempFolder>>;

beforeAll(async () => {
  folder = await tempFolder();
});
afterAll(async () => {
  await folder[Symbol.asyncDispose]();
});

async function certificateOf(name: string): Promise<{ readonly cert: Buffer; readonly key: Buffer }> {
  const [cert, key] = [join(folder.path, `${name}.crt`), join(folder.path, `${name}.key`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost'];
  const fresh = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
  await run('openssl', ['req', ...fresh, ...subject, '-keyout', key, '-out', cert]);
  return { cert: await readFile(cert), key: await readFile(key) };
}

describe('Http2Server over TLS', () => {
  it('speaks h2 by ALPN, sends more than a TLS record, and knows who the client is', async () => {
    const server = await certificateOf('server');
    const client = await certificateOf('client');
    const body = Buffer.alloc(3_000_000, 'abc');
    const options = { ...server, ca: client.cert, requestCert: true, rejectUnauthorized: false };
    await using bare = await startBare(
      (stream) => {
        stream.respond(headers);
        stream.end([body], trailers, { reset: false });
      },
      {},
      { tls: { options, onChange: () => undefined } },
    );
    const session = connectHttp2(`https://localhost:${bare.port}`, { ca: server.cert, ...client });
    const stream = session.request({ ':path': '/' });
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(stream, 'end');
    expect(Buffer.concat(chunks).equals(body)).toBe(true);
    expect(bare.connections[0]?.certificate).toMatchObject({ name: 'localhost', problem: undefined });
    session.destroy();
  });

  it('uses a changed certificate for new connections, and refuses what is not h2', async () => {
    const [first, second] = [await certificateOf('first'), await certificateOf('second')];
    let change: (changed: object) => void = () => undefined;
    const tls = { options: first, onChange: (listener: (changed: object) => void) => (change = listener) };
    await using bare = await startBare(undefined, {}, { tls: tls as never });
    const seenBy = async (ALPNProtocols: string[]): Promise<string> => {
      const secureContext = createSecureContext({ ca: [first.cert, second.cert] });
      const socket = connectTls({ port: bare.port, host: 'localhost', secureContext, ALPNProtocols });
      await once(socket, 'secureConnect');
      const { CN } = socket.getPeerCertificate().subject;
      socket.destroy();
      return String(CN);
    };
    expect(await seenBy(['h2'])).toBe('first');
    change(second);
    expect(await seenBy(['h2'])).toBe('second');
    await expect(seenBy(['http/1.1'])).rejects.toThrow('no application protocol');
  });
});
