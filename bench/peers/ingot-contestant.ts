import { join } from 'node:path';
import type { Contestant, Protocol, ServerPlace } from './contestant.ts';

const ROOT = join(import.meta.dirname, '../..');
/** With the Node of the package before any other, as npx has it. */
const PATH = `PATH=${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}`;
const PROGRAM = join(ROOT, 'cli/ingot.js');

/** How a contestant differs from the cache that a user starts. */
export interface IngotContestantOptions {
  readonly name?: string;
  /** For CPU profiles. */
  readonly profileFolder?: string | undefined;
  /** It is also asked over HTTP. */
  readonly http?: boolean;
  readonly flags?: readonly string[];
}

/** The cache role of this checkout, as a user starts it; with a folder for CPU profiles, it writes one at its end. */
export class IngotContestant implements Contestant {
  readonly name: string;
  readonly speaks: readonly Protocol[];
  readonly #variables: readonly string[];
  readonly #flags: readonly string[];

  constructor({ name = 'ingot', profileFolder, http = false, flags = [] }: IngotContestantOptions) {
    this.name = name;
    this.#flags = flags;
    this.speaks = http ? ['grpc', 'http'] : ['grpc'];
    const profiling = `NODE_OPTIONS=--cpu-prof --cpu-prof-dir=${profileFolder}`;
    this.#variables = profileFolder === undefined ? [PATH] : [PATH, profiling];
  }

  async command({ folder, grpcAddress, httpAddress }: ServerPlace): Promise<readonly string[]> {
    const role = ['cache', '--data', folder, '--grpc', grpcAddress, '--http', httpAddress, ...this.#flags];
    return ['env', ...this.#variables, PROGRAM, ...role];
  }
}
