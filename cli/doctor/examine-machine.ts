import { toolchainsFolder } from '../toolchain/toolchains-folder.ts';
import { checkCgroups } from './check-cgroups.ts';
import { checkDataFolder } from './check-data-folder.ts';
import { checkOpenFiles, checkPort } from './check-limits.ts';
import { checkNode } from './check-node.ts';
import { checkCompilers, checkGpu, checkNats, checkPip } from './check-programs.ts';
import { checkSandbox } from './check-sandbox.ts';
import { checkToolchains } from './check-toolchains.ts';
import { checkUser } from './check-user.ts';
import type { DoctorHost } from './doctor-host.ts';
import type { Finding } from './finding.ts';

const GRPC_PORT = 8980;
const HTTP_PORT = 8981;

interface MachineOptions {
  readonly dataFolder: string;
  readonly nodeVersion: string;
}

/** Everything `ingot doctor` looks at, in the order it is told: what must be there first. Changes nothing. */
export async function examineMachine(host: DoctorHost, options: MachineOptions): Promise<Finding[]> {
  return [
    checkNode(options.nodeVersion),
    checkUser(host.uid),
    ...(await checkSandbox(host)),
    await checkCgroups(),
    ...(await checkDataFolder(options.dataFolder, host.uid)),
    await checkOpenFiles(),
    await checkPort(GRPC_PORT, 'grpc'),
    await checkPort(HTTP_PORT, 'http'),
    await checkNats(host),
    await checkCompilers(host),
    ...(await checkToolchains(host, { toolchainsFolder: toolchainsFolder(options.dataFolder) })),
    await checkPip(host),
    await checkGpu(host),
  ];
}
