import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { FarmConnection } from '../../cli/client/farm-connection.ts';
import { IngotProcess } from '../e2e/cli-process.ts';
import { FolderWatch, folderSnapshot } from './folder-snapshot.ts';
import { RawClient } from './raw-grpc.ts';
import { tempFolder } from './temp-folder.ts';
import { waitUntil } from './wait-until.ts';

/** An `ingot up` whose folder is watched, for tests of what must not be written. */
export class WatchedFarm implements AsyncDisposable {
  readonly connection: FarmConnection;
  readonly raw: RawClient;
  /** `HOST:PORT` of the HTTP cache. */
  readonly http: string;
  readonly #folder: string;
  readonly #watch: FolderWatch;
  readonly #stack: AsyncDisposableStack;
  #before: readonly string[] = [];

  private constructor(folder: string, endpoints: ReadonlyMap<string, string>, stack: AsyncDisposableStack) {
    const endpoint = endpoints.get('grpc') ?? '';
    this.http = endpoints.get('http') ?? '';
    this.#folder = folder;
    this.#stack = stack;
    this.connection = stack.use(
      new FarmConnection({ endpoint, instanceName: '', security: { tls: false } }, { version: 'test' }),
    );
    this.raw = stack.use(new RawClient(Number(endpoint.split(':')[1])));
    this.#watch = stack.use(
      new FolderWatch([
        folder,
        this.data(),
        this.data('cache'),
        this.data('cache', 'incoming'),
        this.data('cache', 'cas-v1'),
        this.data('cache', 'segments-v1'),
        this.data('cache', 'ac-v1'),
        this.data('cache', 'logs'),
        this.data('scheduler', 'journal-v1'),
        this.data('worker'),
        this.data('worker', 'work'),
        this.data('worker', 'blobs'),
      ]),
    );
  }

  static async start(): Promise<WatchedFarm> {
    await using stack = new AsyncDisposableStack();
    // The data is further down, so that what leads upwards from it ends up where it is seen.
    const { path: folder } = stack.use(await tempFolder());
    const data = join(folder, 'farm', 'data');
    await mkdir(data, { recursive: true });
    const up = new IngotProcess(['up', '--data', data, '--grpc', '127.0.0.1:0', '--http', '127.0.0.1:0']);
    stack.defer(async () => {
      expect((await up.stop()).code).toBe(0);
    });
    const words = (await up.line('ready')).split(' ').slice(1);
    const endpoints = new Map(words.map((word) => word.split('=') as [string, string]));
    return new WatchedFarm(folder, endpoints, stack.move());
  }

  /** A path in the farm's data folder. */
  data(...path: string[]): string {
    return join(this.#folder, 'farm', 'data', ...path);
  }

  /** What is written from here on counts. */
  async beginWatch(): Promise<void> {
    this.#before = await folderSnapshot(this.#folder);
    this.#watch.take();
  }

  /** What was touched since, in the folders where things are written first. */
  touched(): string {
    return this.#watch.take().join('\n');
  }

  /** Names and sizes of what is there and was not, or not so. */
  async added(): Promise<string[]> {
    const before = new Set(this.#before);
    return (await folderSnapshot(this.#folder)).filter((line) => !before.has(line));
  }

  /** Everything is as it was, or becomes so when what was written for a moment is gone; no upload is waited for. */
  async expectUnchanged(): Promise<void> {
    await waitUntil('the folder to be as it was', async () => {
      expect(await folderSnapshot(this.#folder)).toEqual(this.#before);
      return true;
    });
    const status = await fetch(`http://${this.http}/status`);
    expect(await status.json()).toMatchObject({ uploads: 0 });
  }

  /** Everything is as it was and has been so all the time. */
  async expectUntouched(): Promise<void> {
    expect(this.touched(), 'what was touched').toBe('');
    await this.expectUnchanged();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
