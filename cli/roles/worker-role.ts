import { z } from 'zod';
import { workerConfigSchema } from '../../worker/config.ts';
import { composeWorker } from '../../worker/main.ts';
import type { CommandContext } from '../command-context.ts';
import { adoptHostToolchain } from './adopt-host-toolchain.ts';
import { cacheClientConfigShape } from './cache-client-config.ts';
import { makeDataFolder } from './make-data-folder.ts';
import { connectBus } from './open-bus.ts';
import { busConfigShape, processConfigShape, type RoleFlags, readRoleConfig } from './process-config.ts';
import { connectRemoteCache } from './remote-cache.ts';
import { runRole } from './role-process.ts';

/** Settings of `ingot worker`. */
export const workerRoleSchema = z.object({
  ...workerConfigSchema.shape,
  ...processConfigShape,
  ...busConfigShape,
  ...cacheClientConfigShape,
  /** The NATS server. */
  nats: z.string().default('nats://127.0.0.1:4222'),
});

/** `ingot worker`: runs actions of a farm on this machine. */
export async function runWorkerRole(context: CommandContext, flags: RoleFlags): Promise<number> {
  const config = readRoleConfig(workerRoleSchema, flags, context.io);
  const { signal } = context;
  return runRole(context, config, async (host) => {
    await makeDataFolder(config.data);
    await adoptHostToolchain(context, config.data);
    const { blobStoreOf, logStreams } = await connectRemoteCache(config, host, { signal });
    const { bus } = await connectBus({ ...config, url: config.nats, name: 'ingot worker' }, host, { signal });
    const worker = await composeWorker(config, host, { blobStoreOf, logStreams, bus });
    return {
      endpoints: { worker: worker.workerId, sandbox: worker.sandbox },
      drain: () => worker.drain(),
    };
  });
}
