import { resolve } from 'node:path';
import { z } from 'zod';
import { readConfig } from '../../core/config/config.ts';
import { duration } from '../../core/config/config-values.ts';
import { isIngotError } from '../../core/error.ts';
import { LOG_FORMATS, LOG_LEVELS } from '../../core/log/logger.ts';
import { Code } from '../../proto/gen/google/rpc/code.ts';
import type { ProgramIo } from '../command-context.ts';
import { UsageError } from '../usage-error.ts';
import { dataFolder } from '../user-folders.ts';

/** What every process of a farm can be told, whatever its role. */
export const processConfigShape = {
  /** What is logged, on stderr. */
  logLevel: z.enum(LOG_LEVELS).default('info'),
  /** `text` for people, `json` for machines. */
  logFormat: z.enum(LOG_FORMATS).default('text'),
};

/** Words with dots between, as bus subjects are made of. */
const SUBJECT_PREFIX = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/;

/** For roles that meet others at a NATS server. */
export const busConfigShape = {
  /** First words of this farm's subjects, the same for all of its processes. Default `ingot`. */
  busPrefix: z.string().regex(SUBJECT_PREFIX, 'expected words with dots between').default('ingot'),
};

/** For roles that serve calls. */
export const drainConfigShape = {
  /** How long calls under way may take after SIGTERM before they are ended. Default 30s. */
  drainTimeout: duration().prefault('30s'),
};

/** The flags of a role as commander leaves them, in camel case; `config` names a YAML file. */
export type RoleFlags = Readonly<Record<string, unknown>> & { readonly config?: string };

/**
 * Reads a role's configuration from flags, `INGOT_…` variables and the file, in this order. `data` may be left out,
 * for the usual folder, and comes back absolute. What is wrong is a {@link UsageError} with all problems in it.
 */
export function readRoleConfig<S extends z.ZodObject>(
  schema: S,
  flags: RoleFlags,
  { environment, cwd }: ProgramIo,
): Readonly<z.output<S>> {
  const data = z
    .string()
    .min(1, 'expected a folder')
    .transform((path) => resolve(cwd, path))
    .prefault(dataFolder(environment));
  const yamlFile = flags.config === undefined ? undefined : resolve(cwd, flags.config);
  try {
    const config = readConfig({ schema: schema.extend({ data }), flags, environment, yamlFile });
    return config as Readonly<z.output<S>>;
  } catch (error) {
    throw isIngotError(error, Code.INVALID_ARGUMENT) ? new UsageError(error.message) : error;
  }
}
