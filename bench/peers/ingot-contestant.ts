import { join } from 'node:path';
import type { Contestant, Protocol, ServerPlace } from './contestant.ts';

const PROGRAM = join(import.meta.dirname, '../../cli/ingot.js');

/** The cache role of this checkout, as a user starts it; with a folder for CPU profiles, it writes one at its end. */
export class IngotContestant implements Contestant {
  readonly name = 'ingot';
  readonly speaks: readonly Protocol[];
  readonly #nodeFlags: readonly string[];

  constructor({ profileFolder, http = false }: { profileFolder?: string | undefined; http?: boolean }) {
    this.speaks = http ? ['grpc', 'http'] : ['grpc'];
    this.#nodeFlags = profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`];
  }

  async command({ folder, grpcAddress, httpAddress }: ServerPlace): Promise<readonly string[]> {
    const role = ['cache', '--data', folder, '--grpc', grpcAddress, '--http', httpAddress];
    return [process.execPath, ...this.#nodeFlags, PROGRAM, ...role];
  }
}
