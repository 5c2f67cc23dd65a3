import { afterAll, afterEach, beforeEach } from 'vitest';
import type { FarmConnection } from '../../cli/client/farm-connection.ts';
import { Cluster, type ClusterOptions } from './cluster.ts';
import { checkInvariants } from './farm-invariants.ts';

/** A farm that tests share, and a connection of this process to it. */
export interface SharedCluster {
  readonly cluster: Cluster;
  readonly farm: FarmConnection;
}

/**
 * One farm for all tests of a file, as long as they pass: what one leaves behind would show in the next. After each,
 * what does not run is started again, and the invariants are checked. After one that failed the farm is replaced.
 */
export function sharedCluster(options: ClusterOptions): SharedCluster {
  let held: (SharedCluster & { readonly stack: AsyncDisposableStack }) | undefined;
  const close = async (): Promise<void> => {
    const { stack } = held ?? {};
    held = undefined;
    await stack?.disposeAsync();
  };
  beforeEach(async () => {
    if (held !== undefined) return;
    const stack = new AsyncDisposableStack();
    const cluster = stack.use(await Cluster.start(options));
    held = { cluster, farm: stack.use(cluster.connect()), stack };
  });
  afterEach(async ({ task }) => {
    let isSound = false;
    try {
      if (task.result?.state === 'fail') return;
      await open().cluster.mend();
      await checkInvariants(open().cluster);
      isSound = true;
    } finally {
      if (!isSound) {
        console.error(held?.cluster.logs);
        await close();
      }
    }
  });
  afterAll(close);
  const open = (): SharedCluster => {
    if (held === undefined) throw new Error('the farm is up within a test only');
    return held;
  };
  return {
    get cluster() {
      return open().cluster;
    },
    get farm() {
      return open().farm;
    },
  };
}
