import { askProgram, firstLine } from './ask-program.ts';
import type { DoctorHost } from './doctor-host.ts';
import type { Finding } from './finding.ts';
import { installCommand } from './install-command.ts';

/** nats-server, which joins the roles of a farm of more than one process. */
export async function checkNats(host: DoctorHost): Promise<Finding> {
  const answer = await askProgram(host, ['nats-server', '--version']);
  if (answer !== undefined) return { check: 'nats-server', status: 'ok', detail: firstLine(answer) };
  return {
    check: 'nats-server',
    status: 'note',
    detail: '`ingot up` does without; a farm of several processes needs it, here or on another machine',
    fix: installCommand(['nats-server'], host.uid),
  };
}

/** gcc and g++, which C++ actions and nvcc's host side need. */
export async function checkCompilers(host: DoctorHost): Promise<Finding> {
  const gcc = await askProgram(host, ['gcc', '--version']);
  const gxx = await askProgram(host, ['g++', '--version']);
  if (gcc !== undefined && gxx !== undefined) return { check: 'g++', status: 'ok', detail: firstLine(gxx) };
  return {
    check: 'g++',
    status: 'note',
    detail: `no ${gcc === undefined ? 'gcc' : 'g++'}; C++ and CUDA cannot be compiled on workers of this machine`,
    fix: installCommand(['g++'], host.uid),
  };
}

/** Python's pip, which brings the CUDA toolchain. */
export async function checkPip(host: DoctorHost): Promise<Finding> {
  const python = await askProgram(host, ['python3', '--version']);
  const pip = python && (await askProgram(host, ['python3', '-m', 'pip', '--version']));
  if (pip?.exitCode === 0) {
    const [version] = /^pip \S+/.exec(pip.stdout) ?? [];
    return { check: 'pip', status: 'ok', detail: `${firstLine(python ?? pip)}, ${version ?? 'pip'}` };
  }
  return {
    check: 'pip',
    status: 'note',
    detail: `no ${python === undefined ? 'python3' : 'pip'}; \`ingot toolchain add cuda\` downloads with it`,
    fix: installCommand(python === undefined ? ['python3', 'python3-pip'] : ['python3-pip'], host.uid),
  };
}

/** Devices as nvidia-smi names them. Compiling needs none. */
export async function checkGpu(host: DoctorHost): Promise<Finding> {
  const answer = await askProgram(host, ['nvidia-smi', '--list-gpus']);
  const devices =
    answer?.exitCode === 0 ? answer.stdout.split('\n').filter((line) => line.startsWith('GPU ')) : [];
  if (devices.length > 0) {
    const names = devices.map((line) => line.replace(/ \(UUID.*$/, ''));
    return { check: 'gpu', status: 'ok', detail: names.join(', ') };
  }
  const why = answer === undefined ? 'no nvidia-smi' : firstLine(answer);
  return {
    check: 'gpu',
    status: 'note',
    detail: `none (${why}); compiling CUDA needs none, running it does`,
  };
}
