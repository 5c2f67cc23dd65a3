import { join } from 'node:path';
import type { Contestant, ServerPlace } from './contestant.ts';

/**
 * bazel-remote with its two required settings and its defaults (blobs stored as zstd, action results checked against
 * the CAS), but without its line of log per call, which would only slow it.
 */
export class BazelRemoteContestant implements Contestant {
  readonly name = 'bazel-remote';
  readonly speaks = ['grpc'] as const;
  readonly #program: string;

  constructor(program: string) {
    this.#program = program;
  }

  async command({ folder, grpcAddress, httpAddress }: ServerPlace): Promise<readonly string[]> {
    const store = [`--dir=${join(folder, 'cache')}`, '--max_size=50']; // GiB, so that nothing is evicted
    const listeners = [`--grpc_address=${grpcAddress}`, `--http_address=${httpAddress}`];
    return [this.#program, ...store, ...listeners, '--access_log_level=none'];
  }
}
