import { listToolchains } from '../../core/toolchain/toolchain-folder.ts';
import { findHostNvcc } from '../toolchain/find-host-nvcc.ts';
import type { DoctorHost } from './doctor-host.ts';
import type { Finding } from './finding.ts';

interface ToolchainPlaces {
  readonly toolchainsFolder: string;
  /** Default `/usr/local/cuda`. */
  readonly usualRoot?: string;
}

/** The nvcc of this machine and the toolchains that were added, each looked at. */
export async function checkToolchains(host: DoctorHost, places: ToolchainPlaces): Promise<Finding[]> {
  const { signal } = host;
  const search = await findHostNvcc({ ...host, ...places });
  const listing = await listToolchains(places.toolchainsFolder, { signal });

  const found = [];
  if (search.found !== undefined) found.push(`nvcc ${search.found.build} at ${search.found.root}`);
  for (const { id, build, source } of listing.toolchains) {
    if (source === 'packages') found.push(`${id} (nvcc ${build}) added`);
  }
  const findings: Finding[] =
    found.length > 0
      ? [{ check: 'cuda', status: 'ok', detail: found.join('; ') }]
      : [
          {
            check: 'cuda',
            status: 'note',
            detail: `no nvcc on PATH, in CUDA_HOME or in ${places.toolchainsFolder}; \`ingot demo\` brings one`,
            fix: 'ingot toolchain add cuda (123 MiB to download)',
          },
        ];
  for (const problem of [...search.problems, ...listing.problems.map(({ error }) => error)]) {
    findings.push({ check: 'cuda', status: 'note', detail: `cannot be used: ${problem.message}` });
  }
  return findings;
}
