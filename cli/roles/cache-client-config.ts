import { z } from 'zod';
import { cacheNodeAddresses } from './cache-node-addresses.ts';

/** How a role reaches the cache of another process, and proves there what it is. */
export const cacheClientConfigShape = {
  /** The cache's gRPC address, with `grpcs://` before it for TLS; of several nodes over one tier all, with commas. */
  cache: cacheNodeAddresses().prefault('127.0.0.1:8982'),
  /** Of several nodes: while one is away the next one answers for it, as any of them can over one tier. */
  cacheFailover: z.boolean().default(true),
  /** The token itself; by INGOT_TOKEN or the configuration file, since a command line is for all to read. */
  token: z.string().optional(),
  /** The file that holds the token; read again when it changes. */
  tokenFile: z.string().min(1).optional(),
  /** PEM file of the authority of the cache's certificate. Default: the public ones. */
  tlsCa: z.string().min(1).optional(),
  /** PEM file of this process's certificate, where the cache asks for one. */
  tlsClientCert: z.string().min(1).optional(),
  /** PEM file of its key. */
  tlsClientKey: z.string().min(1).optional(),
};

const cacheClientConfigSchema = z.object(cacheClientConfigShape);

/** The parsed settings. */
export type CacheClientConfig = z.output<typeof cacheClientConfigSchema>;
