import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';

/**
 * The ceiling that reads over HTTP are held against: the plainest static file server node:http allows. It keeps what is
 * PUT as a file and streams it back, checks nothing and promises nothing.
 */
const { values } = parseArgs({ options: { folder: { type: 'string' }, http: { type: 'string' } } });
const { folder = '', http = '' } = values;

async function put(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
  await pipeline(request, createWriteStream(path));
  response.writeHead(200).end();
}

async function get(response: ServerResponse, path: string): Promise<void> {
  const { size } = await stat(path);
  response.writeHead(200, { 'content-length': size });
  await pipeline(createReadStream(path), response);
}

await mkdir(folder, { recursive: true });
const server = createServer((request, response) => {
  const path = join(folder, basename(request.url ?? ''));
  const answered = request.method === 'PUT' ? put(request, response, path) : get(response, path);
  answered.catch((error: unknown) => {
    console.error(error);
    response.destroy();
  });
});
const [host, port] = http.split(':');
server.listen(Number(port), host);
