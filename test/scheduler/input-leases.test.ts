import { describe, expect, it } from 'vitest';
import type { BlobOptions, BlobStore } from '../../cache/blob-store.ts';
import type { Digest } from '../../core/digest.ts';
import { unavailable } from '../../core/error.ts';
import { InputLeases } from '../../scheduler/input-leases.ts';
import { recordingLogger } from '../setup/recording-logger.ts';

type Live = ConstructorParameters<typeof InputLeases>[0]['state'];

/** Operations by name, each with the build it is for; those in `done` have ended. */
function stateOf(builds: Record<string, string | undefined>, done: readonly string[] = []): Live {
  const operations = new Map<string, object>();
  const completed = new Set<object>();
  for (const [name, toolInvocationId] of Object.entries(builds)) {
    const operation = {
      record: {
        name,
        instanceName: '',
        requestMetadata: toolInvocationId === undefined ? undefined : { toolInvocationId },
      },
    };
    operations.set(name, operation);
    if (done.includes(name)) completed.add(operation);
  }
  return { operations, completed } as unknown as Live;
}

function recordingStore(fails = false) {
  const renewed: (string | undefined)[] = [];
  const store: Pick<BlobStore, 'findMissing'> = {
    async findMissing(digests: readonly Digest[], { invocationId }: BlobOptions = {}) {
      expect(digests).toEqual([]);
      renewed.push(invocationId);
      if (fails) throw unavailable('the cache is away');
      return [];
    },
  };
  return { store: store as BlobStore, renewed };
}

describe('InputLeases', () => {
  it('say of each build with operations that have not ended that it is live, again and again', async () => {
    const { store, renewed } = recordingStore();
    const state = stateOf({ a: 'build 1', b: 'build 1', c: undefined, d: 'build 2', e: undefined }, [
      'd',
      'e',
    ]);
    await using _leases = new InputLeases({
      blobStoreOf: () => store,
      state,
      logger: recordingLogger(),
      renewalMs: 20,
    });
    await expect.poll(() => renewed.length).toBeGreaterThanOrEqual(4);
    expect(new Set(renewed)).toEqual(new Set(['build 1', 'c']));
  });

  it('go on when the cache is away, and say so', async () => {
    const { store, renewed } = recordingStore(true);
    const logger = recordingLogger();
    await using _leases = new InputLeases({
      blobStoreOf: () => store,
      state: stateOf({ a: 'b' }),
      logger,
      renewalMs: 20,
    });
    await expect.poll(() => renewed.length).toBeGreaterThanOrEqual(3);
    expect(logger.at('warn').map(({ message }) => message)).toContain(
      'inputs of operations could not be kept in the cache',
    );
  });

  it('end when closed', async () => {
    const { store, renewed } = recordingStore();
    const leases = new InputLeases({
      blobStoreOf: () => store,
      state: stateOf({ a: 'b' }),
      logger: recordingLogger(),
      renewalMs: 20,
    });
    await expect.poll(() => renewed.length).toBeGreaterThan(0);
    await leases.close();
    const { length } = renewed;
    await new Promise((done) => setTimeout(done, 80));
    expect(renewed.length).toBe(length);
  });
});
