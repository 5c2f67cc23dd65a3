import { stat } from 'node:fs/promises';
import { askProgram, firstLine, type ProgramAnswer } from './ask-program.ts';
import type { DoctorHost } from './doctor-host.ts';
import type { Finding } from './finding.ts';
import { installCommand } from './install-command.ts';

const SETUID = 0o4000;
/** A user that exists on no machine; slots of a root worker run under ids like it. */
const OTHER_UID = '61000';

/** What the strict profile asks of the kernel, around a program that does nothing. */
const TRIAL = [
  ...['bwrap', '--unshare-all', '--unshare-user', '--disable-userns', '--die-with-parent', '--new-session'],
  ...[
    '--cap-drop',
    'ALL',
    '--ro-bind',
    '/',
    '/',
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--tmpfs',
    '/tmp',
    'true',
  ],
];

/** A worker gives each action a user of its own, which only root can. */
const NOT_STRICT: Finding = {
  check: 'sandbox',
  status: 'missing',
  detail:
    'only root can give `strict`, the default; this user can give `basic`: namespaces, no network, no own user',
  fix: 'sudo ingot up, or with less protection: ingot up --sandbox basic',
};

/** Whether actions can be put into the `strict` sandbox: bubblewrap, setpriv, and a kernel that lets them work. */
export async function checkSandbox(host: DoctorHost): Promise<Finding[]> {
  const bubblewrap = await checkBubblewrap(host);
  const findings = [bubblewrap];
  if (host.uid === 0) findings.push(await checkSetpriv(host));
  // Without the programs the trial could only repeat what has been said.
  if (findings.every(({ status }) => status === 'ok')) findings.push(await checkNamespaces(host));
  return findings;
}

async function checkBubblewrap(host: DoctorHost): Promise<Finding> {
  const check = 'bubblewrap';
  const answer = await askProgram(host, ['bwrap', '--version']);
  if (answer === undefined) {
    return {
      check,
      status: 'missing',
      detail: 'not installed; without it no action can be sandboxed',
      fix: installCommand(['bubblewrap'], host.uid),
    };
  }
  if (((await stat(answer.path)).mode & SETUID) !== 0) {
    return {
      check,
      status: 'missing',
      detail: `${answer.path} is setuid root, which the worker refuses: a fault in it would be a way to root`,
      fix: host.uid === 0 ? `chmod u-s ${answer.path}` : `sudo chmod u-s ${answer.path}`,
    };
  }
  return { check, status: 'ok', detail: firstLine(answer) };
}

async function checkSetpriv(host: DoctorHost): Promise<Finding> {
  const answer = await askProgram(host, ['setpriv', '--version']);
  if (answer !== undefined) return { check: 'setpriv', status: 'ok', detail: firstLine(answer) };
  return {
    check: 'setpriv',
    status: 'missing',
    detail: 'not installed; a worker of root needs it to give each action a user of its own',
    fix: installCommand(['util-linux'], host.uid),
  };
}

async function checkNamespaces(host: DoctorHost): Promise<Finding> {
  const check = 'sandbox';
  const asOther = ['setpriv', '--reuid', OTHER_UID, '--regid', OTHER_UID, '--clear-groups', '--no-new-privs'];
  const answer = await askProgram(host, host.uid === 0 ? [...asOther, ...TRIAL] : TRIAL);
  if (answer?.exitCode === 0) {
    if (host.uid !== 0) return NOT_STRICT;
    return {
      check,
      status: 'ok',
      detail: 'strict: namespaces, no network, no privileges, under a user of its own',
    };
  }
  const fix = fixFor(answer, host.uid);
  return {
    check,
    status: 'missing',
    detail: `bubblewrap cannot make its namespaces: ${answer === undefined ? 'it did not start' : firstLine(answer)}`,
    ...(fix !== undefined && { fix }),
  };
}

/** Three ways in which systems switch user namespaces off; containers are the fourth. */
function fixFor(answer: ProgramAnswer | undefined, uid: number | undefined): string | undefined {
  if (answer === undefined) return undefined;
  const sudo = uid === 0 ? '' : 'sudo ';
  if (/uid map|Permission denied|Operation not permitted|No permissions/i.test(answer.stderr)) {
    return (
      `${sudo}sysctl -w kernel.unprivileged_userns_clone=1 or ${sudo}sysctl -w ` +
      'kernel.apparmor_restrict_unprivileged_userns=0, whichever the system knows; in a container, allow user ' +
      'namespaces (docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined)'
    );
  }
  if (/No space left/i.test(answer.stderr)) return `${sudo}sysctl -w user.max_user_namespaces=10000`;
  return undefined;
}
