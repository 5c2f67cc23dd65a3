import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { failedPrecondition, wrap } from '../../core/error.ts';
import { type CommandVariable, InputEntry_Kind } from '../../proto/gen/ingot/v1/launcher.ts';
import { leaseFolderOf } from '../launcher/lease-folder.ts';
import { PROBE_INPUT, type Probe, probeScript, probesFor } from './probes.ts';
import { INPUT_ROOT_PATH, type Sandbox } from './sandbox.ts';
import type { SandboxLevel } from './sandbox-level.ts';

/** The probes together take 50 ms; a sandbox that takes this long is of no use. */
const TIMEOUT_MS = 30_000;
const MIB = 1024 * 1024;

/** What a probe saw. */
export interface ProbeResult {
  readonly name: string;
  readonly expected: string;
  readonly seen: string;
  readonly passed: boolean;
}

export interface SelfTestOptions {
  readonly sandbox: Sandbox;
  readonly level: SandboxLevel;
  readonly workerFolder: string;
  /** A cached blob to stand for an action's input, as a path below the blobs' folder. */
  readonly inputBlob: string;
}

/**
 * Tries, from inside a sandbox like any action's, what an action must not be able to do. FAILED_PRECONDITION names
 * every probe that saw something else than expected; without a sandbox there is nothing to test.
 */
export async function selfTestSandbox({
  sandbox,
  level,
  workerFolder,
  inputBlob,
}: SelfTestOptions): Promise<ProbeResult[]> {
  const probes = probesFor(level);
  if (probes.length === 0) return [];
  const leaseKey = `self-test-${randomUUID()}`;
  try {
    const input = { path: PROBE_INPUT, kind: InputEntry_Kind.FILE, source: inputBlob, mtime: undefined };
    await sandbox.addInputs({ leaseKey, slot: 0 }, [input]);
    const ended = await sandbox.run(runOf(leaseKey, probes));
    const { stdout, stderr } = leaseFolderOf(workerFolder, leaseKey);
    const results = readResults(probes, await readFile(stdout, 'utf8'));
    const failures = results.filter(({ passed }) => !passed);
    if (ended.exitCode === 0 && failures.length === 0) return results;
    const complaint = (await readFile(stderr, 'utf8')).trim().slice(0, 1000);
    throw failedPrecondition(
      `it ended with exit code ${ended.exitCode}` +
        failures.map(({ name, expected, seen }) => `; ${name}: saw ${seen}, expected ${expected}`).join('') +
        (complaint === '' ? '' : `; it said: ${complaint}`),
    );
  } catch (error) {
    throw wrap(error, `The ${level} sandbox failed its self-test`);
  } finally {
    await sandbox.remove(leaseKey);
  }
}

function runOf(leaseKey: string, probes: readonly Probe[]): Parameters<Sandbox['run']>[0] {
  const environment: CommandVariable[] = [{ name: 'PATH', value: '/usr/bin:/bin:/usr/sbin:/sbin' }];
  return {
    leaseKey,
    slot: 0,
    arguments: ['/bin/sh', '-c', probeScript(probes)],
    environment,
    workingDirectory: '',
    inputRootPath: INPUT_ROOT_PATH,
    mounts: [],
    timeoutMs: TIMEOUT_MS,
    killGraceMs: 0,
    limits: {
      memoryBytes: 256 * MIB,
      cpuMillis: 0,
      pids: 100,
      fileBytes: MIB,
      streamBytes: MIB,
      tmpBytes: MIB,
    },
  };
}

function readResults(probes: readonly Probe[], output: string): ProbeResult[] {
  const answers = new Map<string, string>();
  for (const line of output.split('\n')) {
    const blank = line.indexOf(' ');
    if (blank > 0) answers.set(line.slice(0, blank), line.slice(blank + 1).trim());
  }
  return probes.map(({ name, expected }, index) => {
    const seen = answers.get(String(index)) ?? 'no answer';
    return { name, expected, seen, passed: seen === expected };
  });
}
