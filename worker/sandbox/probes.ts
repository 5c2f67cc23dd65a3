import type { SandboxLevel } from './sandbox-level.ts';

/** One thing tried from inside a sandbox. */
export interface Probe {
  /** What is tried, for people and for the docs. */
  readonly name: string;
  /** Shell commands whose output is the answer. */
  readonly script: string;
  /** The answer a sandbox must give. */
  readonly expected: string;
  /** Where it holds; default: strict and basic. */
  readonly levels?: readonly SandboxLevel[];
}

/** A file of the input root that probes try to change. */
export const PROBE_INPUT = 'input';

const refused = (command: string): string =>
  `if { ${command}; } 2>/dev/null; then echo done; else echo refused; fi`;
const status = (field: string): string => `sed -n 's/^${field}:[[:space:]]*//p' /proc/self/status`;

/** The quick probes of every start. The tests have more, which need compilers and take longer. */
export const PROBES: readonly Probe[] = [
  { name: 'own user', script: 'id -u', expected: '1000' },
  { name: 'capabilities', script: status('CapEff'), expected: '0000000000000000' },
  { name: 'new privileges forbidden', script: status('NoNewPrivs'), expected: '1' },
  { name: 'system call filter', script: status('Seccomp'), expected: '2' },
  { name: 'write to /', script: refused('touch /probe'), expected: 'refused' },
  { name: 'write to /usr', script: refused('touch /usr/probe'), expected: 'refused' },
  { name: 'write to /etc', script: refused('touch /etc/probe'), expected: 'refused' },
  {
    name: 'change an input',
    script: refused(`echo x >> ${PROBE_INPUT} || chmod 777 ${PROBE_INPUT} || touch ${PROBE_INPUT}`),
    expected: 'refused',
    levels: ['strict'],
  },
  { name: 'write to the input root', script: refused('touch output'), expected: 'done' },
  {
    name: 'execute from the input root',
    script: refused("printf '#!/bin/sh\\n' > run && chmod +x run && ./run"),
    expected: 'done',
  },
  { name: 'write to /tmp', script: refused('touch /tmp/probe'), expected: 'done' },
  {
    name: 'network interfaces',
    script: "sed -n 's/^ *\\([^:]*\\):.*/\\1/p' /proc/net/dev | tr '\\n' ' '",
    expected: 'lo',
  },
  { name: 'first process in sight', script: 'cat /proc/1/comm', expected: 'bwrap' },
  {
    name: 'files of others',
    script: 'for f in /root /home /srv /run /var/lib /etc/shadow; do [ -e $f ] && echo $f; done; echo none',
    expected: 'none',
  },
  {
    name: 'environment',
    script: "env | sed 's/=.*//' | grep -vxE 'PATH|PWD|SHLVL|_|OLDPWD' | tr '\\n' ' '; echo none",
    expected: 'none',
  },
  { name: 'open descriptors', script: "ls /proc/self/fd | grep -cvxE '[0-3]'", expected: '0' },
  { name: 'mount', script: refused('mount -t tmpfs none /tmp'), expected: 'refused' },
  { name: 'new user namespace', script: refused('unshare -U true'), expected: 'refused' },
  { name: 'host name', script: 'cat /proc/sys/kernel/hostname', expected: 'ingot' },
];

/** One shell script that runs the probes and prints a line `NUMBER ANSWER` for each. */
export function probeScript(probes: readonly Probe[]): string {
  return probes.map(({ script }, index) => `echo "${index} $(${script})"`).join('\n');
}

/** The probes that hold at a level. */
export function probesFor(level: SandboxLevel): readonly Probe[] {
  return PROBES.filter(({ levels }) => (levels ?? ['strict', 'basic']).includes(level));
}
