import { afterAll, beforeAll } from 'vitest';
import { tempFolder } from '../setup/temp-folder.ts';
import { ServerUnderFault, type ServerUnderFaultOptions } from './server-under-fault.ts';

/** One server for all the faults of a file, which do it no lasting harm. Call it once, at the top; the server is there in the faults. */
export function sharedServer(options?: ServerUnderFaultOptions): () => ServerUnderFault {
  const stack = new AsyncDisposableStack();
  let server: ServerUnderFault;
  beforeAll(async () => {
    const { path } = stack.use(await tempFolder());
    server = stack.use(await ServerUnderFault.start(path, options));
  });
  afterAll(() => stack.disposeAsync());
  return () => server;
}
