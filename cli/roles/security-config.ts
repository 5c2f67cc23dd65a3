import { z } from 'zod';

/** Who may call a server, and how it proves itself; for roles that serve calls. */
export const securityConfigShape = {
  /** File of static tokens, written by `ingot token`. Default: `tokens.json` in the data folder, when it is there. */
  tokens: z.string().min(1).optional(),
  /** Serve callers without credentials beyond this machine. Default false: without credentials, loopback only. */
  allowAnonymous: z.boolean().default(false),
  /** PEM file of the certificate, and of the chain below it. Default: clear text. */
  tlsCert: z.string().min(1).optional(),
  /** PEM file of its key. */
  tlsKey: z.string().min(1).optional(),
};

const securityConfigSchema = z.object(securityConfigShape);

/** The parsed settings. */
export type SecurityConfig = z.output<typeof securityConfigSchema>;
