import { hostname } from 'node:os';
import type { FarmStatus } from '../../proto/gen/ingot/v1/farm.ts';
import type { WorkerRole } from '../../worker/main.ts';
import { formatBytes } from '../output/format-bytes.ts';
import { formatTable } from '../output/format-table.ts';

interface DescribedFarm {
  readonly version: string;
  readonly data: string;
  readonly endpoints: { readonly grpc: string; readonly http: string };
  readonly busExplanation: string;
  readonly worker: Pick<WorkerRole, 'workerId' | 'sandbox' | 'probes' | 'limits'>;
  readonly status: FarmStatus;
}

/** What `ingot up` tells the person who starts it, line by line. */
export function describeFarm({
  version,
  data,
  endpoints,
  busExplanation,
  worker,
  status,
}: DescribedFarm): string[] {
  const grpc = reachable(endpoints.grpc);
  const http = reachable(endpoints.http);
  const own = status.workers.find(({ workerId }) => workerId === worker.workerId);
  const values = (name: string) =>
    own?.properties.filter((property) => property.name === name).map(({ value }) => value) ?? [];
  const [image = ''] = values('image');
  const toolchains = values('toolchain');
  const { slots = 0, cpuMillis = 0, memoryBytes = 0, gpus = [] } = own?.capacity ?? {};
  return [
    `ingot ${version}`,
    `  data        ${data}`,
    `  gRPC        ${endpoints.grpc}`,
    `  HTTP        http://${endpoints.http} (/cas and /ac)`,
    `  bus         ${busExplanation}`,
    `  worker      ${worker.workerId}: ${slots} slots, ${cpuMillis / 1000} cores, ${formatBytes(memoryBytes)}, ${gpus.length} GPUs`,
    `  compilers   ${image}, as --platform image=…`,
    `  toolchains  ${toolchains.join(', ') || 'none (`ingot toolchain add cuda` brings nvcc)'}`,
    ...describeSandbox(worker),
    '',
    'Bazel, remote execution:',
    `  --remote_executor=grpc://${grpc} --remote_default_exec_properties=image=${image}`,
    'Bazel, remote cache only:',
    `  --remote_cache=grpc://${grpc}    or    --remote_cache=http://${http}`,
    '',
  ];
}

function describeSandbox({ sandbox, probes, limits }: DescribedFarm['worker']): string[] {
  const warning = sandbox === 'none' ? ': actions can do whatever this process can' : '';
  const rows = probes.map(({ name, expected, seen, passed }) => [
    name,
    expected,
    seen,
    passed ? 'ok' : 'FAILED',
  ]);
  return [
    `  sandbox     ${sandbox}${warning}${limits.length === 0 ? '' : `; limits: ${limits.join(', ')}`}`,
    ...formatTable(['SELF-TEST', 'EXPECTED', 'SEEN', ''], rows).map((line) => `    ${line}`),
  ];
}

/** A wildcard address is not one that a client can call. */
function reachable(address: string): string {
  return address.replace(/^(0\.0\.0\.0|\[::\]):/, `${hostname()}:`);
}
