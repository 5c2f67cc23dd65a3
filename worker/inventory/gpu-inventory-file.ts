import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import { byteSize } from '../../core/config/config-values.ts';
import { invalidArgument } from '../../core/error.ts';
import type { InventoryGpu } from './gpu.ts';

const schema = z.object({
  gpus: z
    .array(
      z.object({
        id: z.string().min(1),
        arch: z.string().regex(/^sm_[0-9]{2,3}$/),
        memory: byteSize({ min: 1 }),
        model: z.string().default('imaginary'),
        unhealthyReason: z.string().default(''),
      }),
    )
    .max(64),
});

/**
 * Devices from a YAML file, for trying out a farm on machines without GPUs. They are not real: actions that lease one
 * find no device, and whoever uses this must say so in every log line about them.
 */
export async function readGpuInventoryFile(path: string): Promise<InventoryGpu[]> {
  const parsed = schema.safeParse(parse(await readFile(path, 'utf8')));
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw invalidArgument(`read GPU inventory ${path}: ${problems.join('; ')}`);
  }
  return parsed.data.gpus.map(({ memory, ...device }) => ({
    device: { ...device, memoryBytes: memory },
    nodes: [],
  }));
}
