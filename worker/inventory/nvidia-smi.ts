import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import type { SandboxMount } from '../../proto/gen/ingot/v1/launcher.ts';
import { findProgram } from '../launcher/programs.ts';
import type { InventoryGpu } from './gpu.ts';

const run = promisify(execFile);
/** A driver in trouble can hold nvidia-smi up for minutes. */
const TIMEOUT_MS = 10_000;
const FIELDS = ['uuid', 'name', 'compute_cap', 'memory.total', 'pci.bus_id'] as const;
const BYTES_PER_MIB = 1024 * 1024;
/** What every CUDA program needs besides its GPU's own node. */
const SHARED_NODES = ['/dev/nvidiactl', '/dev/nvidia-uvm', '/dev/nvidia-uvm-tools'];

/**
 * The GPUs of this machine, by its driver; none where there is no nvidia-smi. Each action is shown only the nodes of
 * the devices it leases. Not tried on real devices yet.
 */
export async function listNvidiaGpus(): Promise<InventoryGpu[]> {
  const program = findProgram('nvidia-smi');
  if (program === undefined) return [];
  const args = [`--query-gpu=${FIELDS.join(',')}`, '--format=csv,noheader,nounits'];
  const { stdout } = await run(program, args, { timeout: TIMEOUT_MS });
  return parseNvidiaSmi(stdout).map((gpu) => ({ device: gpu.device, nodes: nodesOf(gpu.busId) }));
}

/** Reads `nvidia-smi --query-gpu … --format=csv,noheader,nounits`; a line it cannot read is an unhealthy device. */
export function parseNvidiaSmi(
  csv: string,
): { readonly device: InventoryGpu['device']; readonly busId: string }[] {
  const lines = csv.split('\n').filter((line) => line.trim() !== '');
  return lines.map((line, index) => {
    const [uuid = '', model = '', capability = '', memory = '', busId = ''] = line
      .split(',')
      .map((field) => field.trim());
    const [, major, minor] = /^([0-9]+)\.([0-9])$/.exec(capability) ?? [];
    const memoryBytes = /^[0-9]+$/.test(memory) ? Number(memory) * BYTES_PER_MIB : 0;
    const readable = uuid !== '' && major !== undefined && memoryBytes > 0;
    return {
      device: {
        id: uuid || String(index),
        arch: major === undefined ? '' : `sm_${major}${minor}`,
        memoryBytes,
        model,
        unhealthyReason: readable ? '' : `nvidia-smi says ${JSON.stringify(line)}`,
      },
      busId,
    };
  });
}

/** The kernel module tells which `/dev/nvidiaN` belongs to a PCI address. */
function nodesOf(busId: string): SandboxMount[] {
  // nvidia-smi writes the PCI domain with eight digits, the kernel with four.
  const address = busId.toLowerCase().replace(/^0000(?=[0-9a-f]{4}:)/, '');
  const information = `/proc/driver/nvidia/gpus/${address}/information`;
  const minor = existsSync(information)
    ? /^Device Minor:\s*([0-9]+)$/m.exec(readFileSync(information, 'utf8'))?.[1]
    : undefined;
  const own = minor === undefined ? [] : [`/dev/nvidia${minor}`];
  return [...own, ...SHARED_NODES]
    .filter((path) => existsSync(path))
    .map((path) => ({ hostPath: path, sandboxPath: path, device: true }));
}
