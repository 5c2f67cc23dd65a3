import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Contestant, ServerPlace } from './contestant.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** A blob must fit one of the 38 blocks, so a blob of 2 GiB asks for this much; the file is sparse. */
const CAS_BYTES = 100 * GIB;
/** Room for many times what the load uploads: when it is fuller it gives up entries, and with them blobs. */
const CAS_INDEX_BYTES = 512 * MIB;
const AC_BYTES = 100 * MIB;
const AC_INDEX_BYTES = MIB;

/** Every 300 s it makes its state durable: its own recommendation, and what its answers are worth after a power cut. */
const EPOCH_INTERVAL = '300s';

/** Buildbarn's bb_storage with the on-disk, persistent settings that its README recommends, the sizes apart. */
export class BbStorageContestant implements Contestant {
  readonly name = 'bb-storage';
  readonly speaks = ['grpc'] as const;
  readonly #program: string;

  constructor(program: string) {
    this.#program = program;
  }

  async command({ folder, grpcAddress }: ServerPlace): Promise<readonly string[]> {
    const cas = await localStore(join(folder, 'cas'), CAS_BYTES, CAS_INDEX_BYTES, 3);
    const actionCache = await localStore(join(folder, 'ac'), AC_BYTES, AC_INDEX_BYTES, 1);
    const allow = { allow: {} };
    const configuration = {
      contentAddressableStorage: {
        backend: cas,
        getAuthorizer: allow,
        putAuthorizer: allow,
        findMissingAuthorizer: allow,
      },
      actionCache: {
        backend: { completenessChecking: { backend: actionCache, maximumTotalTreeSizeBytes: 16 * MIB } },
        getAuthorizer: allow,
        putAuthorizer: allow,
      },
      grpcServers: [{ listenAddresses: [grpcAddress], authenticationPolicy: allow }],
      executeAuthorizer: allow,
      maximumMessageSizeBytes: 16 * MIB,
    };
    const path = join(folder, 'bb_storage.jsonnet');
    await writeFile(path, JSON.stringify(configuration));
    return [this.#program, path];
  }
}

/** A `local` backend in a folder of its own; 8 old and 24 current blocks as recommended. */
async function localStore(folder: string, bytes: number, indexBytes: number, newBlocks: number) {
  const stateDirectoryPath = join(folder, 'persistent_state');
  await mkdir(stateDirectoryPath, { recursive: true });
  return {
    local: {
      keyLocationMapOnBlockDevice: {
        file: { path: join(folder, 'key_location_map'), sizeBytes: indexBytes },
      },
      keyLocationMapMaximumGetAttempts: 16,
      keyLocationMapMaximumPutAttempts: 64,
      oldBlocks: 8,
      currentBlocks: 24,
      newBlocks,
      blocksOnBlockDevice: {
        source: { file: { path: join(folder, 'blocks'), sizeBytes: bytes } },
        spareBlocks: 3,
      },
      persistent: { stateDirectoryPath, minimumEpochInterval: EPOCH_INTERVAL },
    },
  };
}
