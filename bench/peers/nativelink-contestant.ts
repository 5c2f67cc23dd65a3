import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Contestant, ServerPlace } from './contestant.ts';

const GIB = 2 ** 30;
const CAS_BYTES_MAX = 50 * GIB;
const AC_BYTES_MAX = GIB;

/**
 * NativeLink as a cache alone: its store on the file system behind its check of sizes and hashes, action results checked
 * against the CAS, as the other servers check them. What it logs of each call is left out.
 */
export class NativeLinkContestant implements Contestant {
  readonly name = 'NativeLink';
  readonly speaks = ['grpc'] as const;
  readonly #program: string;

  constructor(program: string) {
    this.#program = program;
  }

  async command({ folder, grpcAddress }: ServerPlace): Promise<readonly string[]> {
    const cas = await filesystem(join(folder, 'cas'), CAS_BYTES_MAX);
    const actionCache = await filesystem(join(folder, 'ac'), AC_BYTES_MAX);
    const inCas = { instance_name: '', cas_store: 'CAS' };
    const configuration = {
      stores: [
        { name: 'CAS', verify: { backend: cas, verify_size: true, verify_hash: true } },
        {
          name: 'AC',
          completeness_checking: { backend: actionCache, cas_store: { ref_store: { name: 'CAS' } } },
        },
      ],
      servers: [
        {
          listener: { http: { socket_address: grpcAddress } },
          services: {
            cas: [inCas],
            ac: [{ instance_name: '', ac_store: 'AC' }],
            capabilities: [{ instance_name: '' }],
            bytestream: [inCas],
          },
        },
      ],
    };
    const path = join(folder, 'nativelink.json5');
    await writeFile(path, JSON.stringify(configuration));
    return ['/usr/bin/env', 'RUST_LOG=error', this.#program, path];
  }
}

async function filesystem(folder: string, bytesMax: number) {
  await mkdir(folder, { recursive: true });
  return {
    filesystem: {
      content_path: join(folder, 'content'),
      temp_path: join(folder, 'temp'),
      eviction_policy: { max_bytes: bytesMax },
    },
  };
}
