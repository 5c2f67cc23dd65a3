import type { z } from 'zod';
import { invalidArgument } from '../error.ts';
import { readConfigFile } from './config-file.ts';
import { type ConfigSetting, configSettings } from './config-settings.ts';

/** Where a configuration comes from; the earlier of flags, environment and file wins, setting by setting. */
export interface ConfigSources<S extends z.ZodObject> {
  /** What is asked for, with the defaults. `core/config/config-values.ts` has the types for sizes, times and addresses. */
  readonly schema: S;
  /** Flags as the command line parser leaves them, in camel case. Those the schema does not know are not looked at. */
  readonly flags?: Readonly<Record<string, unknown>>;
  /** Default: the process's. An empty variable counts as not set. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Default `INGOT_`. */
  readonly environmentPrefix?: string;
  /** A YAML file; a key in it that the schema does not know is an error. */
  readonly yamlFile?: string | undefined;
}

/** A value as it was given, and by what name. */
interface Given {
  readonly value: unknown;
  readonly source: string;
}

/**
 * One frozen object from flags, environment, file and defaults. All that is wrong is reported together, each with
 * where it was said, in one INVALID_ARGUMENT. Values are not repeated in it: they may be secrets.
 */
export function readConfig<S extends z.ZodObject>(sources: ConfigSources<S>): Readonly<z.output<S>> {
  const { schema, flags = {}, environment = process.env, environmentPrefix = 'INGOT_', yamlFile } = sources;
  const settings = configSettings(schema, environmentPrefix);
  const file =
    yamlFile === undefined ? { values: new Map(), problems: [] } : readConfigFile(yamlFile, settings);

  const given = new Map<ConfigSetting, Given>();
  for (const setting of settings) {
    const found = find(setting, flags, environment, file.values, yamlFile ?? '');
    if (found !== undefined) given.set(setting, found);
  }
  const parsed = schema.safeParse(nested(given));
  const problems = [
    ...file.problems,
    ...(parsed.success ? [] : parsed.error.issues.map((issue) => describe(issue, settings, given))),
  ];
  if (parsed.success && problems.length === 0) return deepFrozen(parsed.data);
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  throw invalidArgument(`configuration: ${count}\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
}

function find(
  setting: ConfigSetting,
  flags: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>>,
  fileValues: ReadonlyMap<string, unknown>,
  file: string,
): Given | undefined {
  const { flagKey, flag, environmentName, fileKey } = setting;
  const fromFlag = Object.hasOwn(flags, flagKey) ? flags[flagKey] : undefined;
  if (fromFlag !== undefined) return { value: fromText(setting, fromFlag), source: flag };
  const fromEnvironment = environment[environmentName];
  if (fromEnvironment !== undefined && fromEnvironment !== '') {
    return { value: fromText(setting, fromEnvironment), source: environmentName };
  }
  if (!fileValues.has(fileKey)) return undefined;
  return { value: fileValues.get(fileKey), source: `${file}: ${fileKey}` };
}

/** Flags and the environment know only text; what is no number or boolean is left for the schema to refuse. */
function fromText(setting: ConfigSetting, value: unknown): unknown {
  if (typeof value !== 'string') return value;
  switch (setting.kind) {
    case 'number':
      return /^-?[0-9]+(?:\.[0-9]+)?$/.test(value) ? Number(value) : value;
    case 'boolean':
      return value === 'true' ? true : value === 'false' ? false : value;
    case 'array':
      return value.split(',').map((part) => part.trim());
    case 'other':
      return value;
  }
}

function nested(given: ReadonlyMap<ConfigSetting, Given>): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [{ path }, { value }] of given) {
    let node = root;
    for (const key of path.slice(0, -1)) {
      node[key] ??= {};
      node = node[key] as Record<string, unknown>;
    }
    node[path.at(-1) ?? ''] = value;
  }
  return root;
}

function describe(
  issue: z.core.$ZodIssue,
  settings: readonly ConfigSetting[],
  given: ReadonlyMap<ConfigSetting, Given>,
): string {
  const setting = settings.find(({ path }) => path.every((key, index) => issue.path[index] === key));
  if (setting === undefined) return issue.message;
  const source = given.get(setting)?.source;
  if (source !== undefined) return `${source}: ${issue.message}`;
  const { flag, environmentName, fileKey } = setting;
  const names = `${flag}, ${environmentName}, or ${fileKey} in the configuration file`;
  return issue.code === 'custom' ? `${names}: ${issue.message}` : `not set: ${names}`;
}

function deepFrozen<T>(value: T): Readonly<T> {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const member of Object.values(value)) deepFrozen(member);
  }
  return value;
}
