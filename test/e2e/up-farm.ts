import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IngotProcess } from './cli-process.ts';

/** The strictest sandbox this machine can give; CI, which is root and has bubblewrap, tests the strict one. */
export const sandboxLevel = process.getuid?.() === 0 && isExecutable('/usr/bin/bwrap') ? 'strict' : 'none';

/** A farm of one process on a folder of its own, as `ingot up` starts it. Hold it with `await using`. */
export class UpFarm implements AsyncDisposable {
  readonly process: IngotProcess;
  readonly data: string;
  readonly endpoint: string;
  /** Where HTTP listens. */
  readonly http: string;
  readonly #isOwnFolder: boolean;

  private constructor(process: IngotProcess, data: string, ready: string, isOwnFolder: boolean) {
    this.process = process;
    this.data = data;
    this.endpoint = /grpc=(\S+)/.exec(ready)?.[1] ?? '';
    this.http = /http=(\S+)/.exec(ready)?.[1] ?? '';
    this.#isOwnFolder = isOwnFolder;
  }

  /** On a temporary folder unless one is named, and free ports unless a gRPC address is. */
  static async start({ data, grpc = '127.0.0.1:0', flags = [] }: UpFarmOptions = {}): Promise<UpFarm> {
    const folder = data ?? mkdtempSync(join(tmpdir(), 'ingot-e2e-'));
    const addresses = ['--grpc', grpc, '--http', '127.0.0.1:0'];
    const process = new IngotProcess([
      'up',
      '--data',
      folder,
      '--sandbox',
      sandboxLevel,
      ...addresses,
      ...flags,
    ]);
    try {
      return new UpFarm(process, folder, await process.line('ready'), data === undefined);
    } catch (error) {
      await process.stop('SIGKILL');
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop('SIGTERM');
    if (this.#isOwnFolder) rmSync(this.data, { recursive: true, force: true });
  }
}

interface UpFarmOptions {
  readonly data?: string;
  readonly grpc?: string;
  readonly flags?: readonly string[];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
