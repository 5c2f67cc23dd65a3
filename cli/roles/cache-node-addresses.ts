import { z } from 'zod';
import { type RpcEndpoint, rpcEndpoint } from '../../core/config/config-values.ts';

/** More would be asked one after another while the first ones are away. */
const NODES_MAX = 64;

/** Where a cache node is, and its share of the blobs. */
export interface CacheNodeAddress extends RpcEndpoint {
  readonly weight: number;
}

/** `HOST:PORT`, or several with commas between; `*2` behind one gives it twice the share of one without. */
export function cacheNodeAddresses() {
  return z
    .union([z.string(), z.array(z.string())])
    .transform((value, context): readonly CacheNodeAddress[] => {
      const parts = (typeof value === 'string' ? value.split(',') : value).map((part) => part.trim());
      const nodes: CacheNodeAddress[] = [];
      for (const part of parts) {
        const [, address, weight = '1'] = /^([^*]*)(?:\*([0-9]+(?:\.[0-9]+)?))?$/.exec(part) ?? [];
        const endpoint = rpcEndpoint().safeParse(address);
        if (!endpoint.success || !(Number(weight) > 0)) {
          return refuse(
            context,
            'expected HOST:PORT, grpcs://HOST:PORT, or HOST:PORT*WEIGHT, with commas between',
          );
        }
        nodes.push({ ...endpoint.data, weight: Number(weight) });
      }
      const names = new Set(nodes.map(({ host, port }) => `${host}:${port}`));
      if (names.size < nodes.length) return refuse(context, 'expected each cache node once');
      if (nodes.length > NODES_MAX) return refuse(context, `expected at most ${NODES_MAX} cache nodes`);
      if (nodes.some(({ tls }) => tls !== nodes[0]?.tls)) {
        return refuse(context, 'expected grpcs:// before every cache node or before none');
      }
      return nodes;
    });
}

function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}
