import assert from 'node:assert/strict';
import { z } from 'zod';

/** One value a schema asks for, under the names people may give it by. */
export interface ConfigSetting {
  /** Keys from the top of the schema: `['cache', 'blobBytesMax']`. */
  readonly path: readonly string[];
  /** As parsed flags are keyed: `cacheBlobBytesMax`. */
  readonly flagKey: string;
  /** As flags are written: `--cache-blob-bytes-max`. */
  readonly flag: string;
  /** `INGOT_CACHE_BLOB_BYTES_MAX`. */
  readonly environmentName: string;
  /** `cache.blobBytesMax`. */
  readonly fileKey: string;
  /** What the bare value is, below defaults and optionals: tells how to read it from text. */
  readonly kind: 'number' | 'boolean' | 'array' | 'other';
}

/** Every setting of a schema, those of nested objects too. Two that would share a name are a bug in the schema. */
export function configSettings(schema: z.ZodObject, environmentPrefix: string): ConfigSetting[] {
  const settings = collect(schema, [], environmentPrefix);
  const names = settings.map(({ environmentName }) => environmentName);
  assert.equal(new Set(names).size, names.length, `settings share a name: ${names.join(', ')}`);
  return settings;
}

function collect(schema: z.ZodObject, parents: readonly string[], prefix: string): ConfigSetting[] {
  return Object.entries(schema.shape).flatMap(([key, member]) => {
    const path = [...parents, key];
    const bare = unwrapped(member);
    return bare instanceof z.ZodObject ? collect(bare, path, prefix) : [setting(path, bare, prefix)];
  });
}

function setting(path: readonly string[], bare: z.core.$ZodType, prefix: string): ConfigSetting {
  const words = path.flatMap((key) => key.split(/(?=[A-Z])/)).map((word) => word.toLowerCase());
  return {
    path,
    flagKey: path
      .map((key, index) => (index === 0 ? key : key.charAt(0).toUpperCase() + key.slice(1)))
      .join(''),
    flag: `--${words.join('-')}`,
    environmentName: prefix + words.join('_').toUpperCase(),
    fileKey: path.join('.'),
    kind: kindOf(bare),
  };
}

function kindOf(bare: z.core.$ZodType): ConfigSetting['kind'] {
  if (bare instanceof z.ZodNumber) return 'number';
  if (bare instanceof z.ZodBoolean) return 'boolean';
  return bare instanceof z.ZodArray ? 'array' : 'other';
}

/** Below defaults, optionals and the like; of a pipe, what goes in. */
function unwrapped(type: z.core.$ZodType): z.core.$ZodType {
  if (
    type instanceof z.ZodOptional ||
    type instanceof z.ZodDefault ||
    type instanceof z.ZodPrefault ||
    type instanceof z.ZodReadonly ||
    type instanceof z.ZodNullable
  ) {
    return unwrapped(type.def.innerType);
  }
  return type instanceof z.ZodPipe ? unwrapped(type.def.in) : type;
}
