import { chmodSync, linkSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Digest } from '../../../core/digest.ts';
import { dataLoss, unavailable } from '../../../core/error.ts';
import { silentLogger } from '../../../core/log/logger.ts';
import { bytesOf } from '../../../core/streams.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { LocalBlobCache } from '../../../worker/blobs/local-blob-cache.ts';
import { StoreRetries } from '../../../worker/store-retries.ts';
import { MemoryBlobStore } from '../../setup/memory-blob-store.ts';
import { tempFolder } from '../../setup/temp-folder.ts';

class Fixture implements AsyncDisposable {
  readonly store = new MemoryBlobStore();
  readonly folder: string;
  readonly #temp: AsyncDisposable;

  private constructor(temp: AsyncDisposable & { readonly path: string }) {
    this.#temp = temp;
    this.folder = join(temp.path, 'blobs');
  }

  static async make(): Promise<Fixture> {
    return new Fixture(await tempFolder());
  }

  open(bytesMax = 1000): Promise<LocalBlobCache> {
    const retries = new StoreRetries({ logger: silentLogger, windowMs: 0 });
    return LocalBlobCache.open({
      folder: this.folder,
      bytesMax,
      source: this.store,
      retries,
      logger: silentLogger,
    });
  }

  put(text: string, executable = false) {
    return { digest: this.store.put(Buffer.from(text)), executable };
  }

  text(path: string): string {
    return readFileSync(join(this.folder, path), 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#temp[Symbol.asyncDispose]();
  }
}

describe('LocalBlobCache', () => {
  test('keeps a blob as a read-only file of a fixed time', async () => {
    await using fixture = await Fixture.make();
    const cache = await fixture.open();
    using blob = (await cache.acquire(fixture.put('hello')))!;
    expect(fixture.text(blob.path)).toBe('hello');
    const stats = statSync(join(fixture.folder, blob.path));
    expect(stats.mode & 0o777).toBe(0o444);
    expect(stats.mtime.toISOString()).toBe('2000-01-01T00:00:00.000Z');
    expect(cache.bytes).toBe(5);
    expect(readdirSync(join(fixture.folder, 'incoming'))).toEqual([]);
  });

  test('an executable is a file of its own, made from the plain one without another fetch', async () => {
    await using fixture = await Fixture.make();
    const cache = await fixture.open();
    const file = fixture.put('hello');
    using plain = (await cache.acquire(file))!;
    using program = (await cache.acquire({ ...file, executable: true }))!;
    expect(program.path).not.toBe(plain.path);
    expect(statSync(join(fixture.folder, program.path)).mode & 0o777).toBe(0o555);
    expect(fixture.store.reads).toHaveLength(1);
  });

  test('a blob wanted by many at once is fetched once', async () => {
    await using fixture = await Fixture.make();
    const cache = await fixture.open();
    const file = fixture.put('hello');
    const all = await Promise.all(Array.from({ length: 20 }, () => cache.acquire(file)));
    expect(all.every((blob) => blob !== undefined)).toBe(true);
    expect(fixture.store.reads).toHaveLength(1);
  });

  test('an absent blob, and one the store knows to be damaged, are undefined', async () => {
    await using fixture = await Fixture.make();
    const cache = await fixture.open();
    const file = fixture.put('hello');
    fixture.store.remove(file.digest);
    expect(await cache.acquire(file)).toBeUndefined();
    fixture.store.failure = dataLoss('rotten');
    expect(await cache.acquire(file)).toBeUndefined();
    expect(cache.bytes).toBe(0);
  });

  test('bytes that do not match the digest never become a file', async () => {
    await using fixture = await Fixture.make();
    const cache = await fixture.open();
    const file = fixture.put('hello');
    fixture.store.read = async () => bytesOf(Buffer.from('jello'));
    expect(await cache.acquire(file)).toBeUndefined();
    expect(readdirSync(fixture.folder)).toEqual(['incoming']);
  });

  test('a store that is away is an error, and the next try works', async () => {
    await using fixture = await Fixture.make();
    const cache = await fixture.open();
    const file = fixture.put('hello');
    fixture.store.failure = unavailable('the cache is away');
    await expect(cache.acquire(file)).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'the cache is away',
    });
    fixture.store.failure = undefined;
    expect(await cache.acquire(file)).toBeDefined();
    expect(cache.bytes).toBe(5);
  });

  test('removes the ones used longest ago, never one in use', async () => {
    await using fixture = await Fixture.make();
    const cache = await fixture.open(10);
    const [a, b, c] = ['aaaa', 'bbbb', 'cccc'].map((text) => fixture.put(text));
    (await cache.acquire(a!))![Symbol.dispose]();
    const held = (await cache.acquire(b!))!;
    (await cache.acquire(a!))![Symbol.dispose]();
    await cache.acquire(c!);
    expect(fixture.text(held.path)).toBe('bbbb');
    expect(cache.bytes).toBe(8);
    await expect(cache.acquire(fixture.put('dddd'))).rejects.toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'make room for 4 bytes of input: the blob cache holds 8 of 10 bytes, all in use',
    });
    held[Symbol.dispose]();
    expect(await cache.acquire(fixture.put('dddd'))).toBeDefined();
  });

  test('takes over what an earlier process left, and looks at it before its first use', async () => {
    await using fixture = await Fixture.make();
    const first = await fixture.open();
    const [good, bad] = [fixture.put('good'), fixture.put('bad!')];
    const goodPath = (await first.acquire(good))!.path;
    const badPath = (await first.acquire(bad))!.path;
    chmodSync(join(fixture.folder, badPath), 0o644);
    writeFileSync(join(fixture.folder, badPath), 'BAD!');
    writeFileSync(join(fixture.folder, 'incoming', 'torn'), 'x');

    const second = await fixture.open();
    expect(second.bytes).toBe(8);
    expect(readdirSync(join(fixture.folder, 'incoming'))).toEqual([]);
    expect((await second.acquire(good))?.path).toBe(goodPath);
    expect(fixture.store.reads).toHaveLength(2);
    expect(fixture.text((await second.acquire(bad))!.path)).toBe('bad!');
    expect(fixture.store.reads).toHaveLength(3);
  });

  test.each([
    ['deleted', (path: string) => rmSync(path)],
    ['cut', (path: string) => writeFileSync(path, 'ori')],
    ['written to', (path: string) => writeFileSync(path, 'ORIGINAL')],
  ])('a file that was %s while this process ran is fetched anew', async (_what, damage) => {
    await using fixture = await Fixture.make();
    const cache = await fixture.open();
    const file = fixture.put('original');
    const { path } = (await cache.acquire(file))!;
    damage(join(fixture.folder, path));
    expect(fixture.text((await cache.acquire(file))!.path)).toBe('original');
    expect(fixture.store.reads).toHaveLength(2);
    expect(cache.bytes).toBe(8);
  });

  test('a damaged file does not become the executable twin', async () => {
    await using fixture = await Fixture.make();
    const cache = await fixture.open();
    const file = fixture.put('original');
    const { path } = (await cache.acquire(file))!;
    writeFileSync(join(fixture.folder, path), 'ORIGINAL');
    const program = (await cache.acquire({ ...file, executable: true }))!;
    expect(fixture.text(program.path)).toBe('original');
  });

  test('a link to a file, as input roots have, is no reason to read it again', async () => {
    await using fixture = await Fixture.make();
    const cache = await fixture.open();
    const file = fixture.put('original');
    const { path } = (await cache.acquire(file))!;
    linkSync(join(fixture.folder, path), join(fixture.folder, 'link'));
    await cache.acquire(file);
    expect(fixture.store.reads).toHaveLength(1);
  });

  test('a smaller limit at the next start is kept at once', async () => {
    await using fixture = await Fixture.make();
    const first = await fixture.open();
    for (const text of ['aaaa', 'bbbb']) (await first.acquire(fixture.put(text)))![Symbol.dispose]();
    expect((await fixture.open(5)).bytes).toBe(4);
  });

  test('the empty blob is a file like any other', async () => {
    await using fixture = await Fixture.make();
    const cache = await fixture.open();
    const blob = await cache.acquire({ digest: Digest.ofBytes(new Uint8Array()), executable: false });
    expect(fixture.text(blob!.path)).toBe('');
  });
});
