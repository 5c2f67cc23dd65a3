import { chmod, copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Lifecycle } from '../../core/lifecycle.ts';
import { createLogger } from '../../core/log/logger.ts';
import { FarmConnection } from '../client/farm-connection.ts';
import type { CommandContext } from '../command-context.ts';
import { ExitCode } from '../exit-code.ts';
import { formatDuration } from '../output/format-duration.ts';
import { makeDataFolder } from '../roles/make-data-folder.ts';
import { chosenDataFolder, toolchainsFolder } from '../toolchain/toolchains-folder.ts';
import { UsageError } from '../usage-error.ts';
import { type DemoCompiler, findDemoCompiler } from './demo-compiler.ts';
import { type DemoFarm, startDemoFarm } from './demo-farm.ts';
import {
  cppDemoProject,
  cudaDemoProject,
  DEMO_ARCHITECTURES,
  type DemoAction,
  type DemoProject,
} from './demo-project.ts';
import { type DemoProgress, type DemoRound, runDemoRound } from './demo-round.ts';
import { demoTable } from './demo-table.ts';

/** The flags of `ingot demo`. */
export interface DemoOptions {
  /** False with `--no-download`. */
  readonly download: boolean;
  readonly data?: string;
  readonly arch?: readonly string[];
}

const CLOSE_MS = 10_000;
/** The running times in the table move on this often. */
const TICK_MS = 200;

/** `ingot demo`: a farm of its own, a project built twice, the second time from the cache. */
export async function demo(context: CommandContext, options: DemoOptions): Promise<number> {
  const { io, printer } = context;
  const architectures = options.arch ?? DEMO_ARCHITECTURES;
  const odd = architectures.find((arch) => !/^sm_[0-9]+[a-z]?$/.test(arch));
  if (odd !== undefined)
    throw new UsageError(`--arch: ${JSON.stringify(odd)} is not an architecture, as in sm_90`);
  const logger = createLogger({ level: printer.verbosity === 'verbose' ? 'info' : 'error', format: 'text' });
  const lifecycle = new Lifecycle({ logger });
  try {
    const toolchainData = chosenDataFolder({ data: options.data, environment: io.environment, cwd: io.cwd });
    const data =
      options.data === undefined ? await temporaryFolder(lifecycle) : resolve(io.cwd, options.data);
    await makeDataFolder(data);
    const compiler = await findDemoCompiler(context, {
      toolchainsFolder: toolchainsFolder(toolchainData),
      allowDownload: options.download,
    });
    const project = compiler.toolchain === undefined ? cppDemoProject() : cudaDemoProject(architectures);
    printer.line(`compiler: ${compiler.sentence}`);
    const farm = await startDemoFarm(context, { logger, lifecycle }, { data, toolchainData });
    sayFarm(context, farm);
    return await buildTwice(context, { farm, project, compiler, folder: join(data, 'demo-project') });
  } finally {
    printer.liveEnd();
    await lifecycle.shutdown({ deadlineMs: CLOSE_MS });
  }
}

async function temporaryFolder(lifecycle: Lifecycle): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ingot-demo-'));
  lifecycle.defer('temporary folder', () => rm(folder, { recursive: true, force: true }));
  // The users that actions run as have to reach their input roots in it.
  await chmod(folder, 0o755);
  return folder;
}

function sayFarm(
  { printer }: CommandContext,
  { status, endpoint, busExplanation, sandbox, sandboxReasons }: DemoFarm,
): void {
  printer.line(`farm: ${status.workers.length} workers at ${endpoint}, bus: ${busExplanation}`);
  const level = sandbox === 'none' ? 'none: actions can do whatever this process can' : sandbox;
  printer.line(`sandbox: ${level}${sandbox === 'strict' ? ', self-test passed' : ''}`);
  for (const reason of sandboxReasons) printer.line(`  not ${reason}`);
  if (sandboxReasons.length > 0) printer.line('  `ingot doctor` says what to install');
}

interface BuildOptions {
  readonly farm: DemoFarm;
  readonly project: DemoProject;
  readonly compiler: DemoCompiler;
  readonly folder: string;
}

async function buildTwice(
  context: CommandContext,
  { farm, project, compiler, folder }: BuildOptions,
): Promise<number> {
  const { printer, version, signal } = context;
  await using connection = new FarmConnection(
    { ...context.farm, endpoint: farm.endpoint, security: { tls: false } },
    { version },
  );
  const link = linkOf(project);
  if (link === undefined) printer.line('no link: the program needs objects for sm_80, sm_86 and sm_90');
  const round = async (title: string): Promise<DemoRound> => {
    await prepareFolder(project, folder);
    printer.line(`\n${title}`);
    let actions: readonly DemoProgress[] = [];
    const draw = () => printer.live(demoTable(actions, performance.now()));
    const timer = setInterval(draw, TICK_MS);
    using _timer = { [Symbol.dispose]: () => clearInterval(timer) };
    const result = await runDemoRound({
      farm: connection,
      objects: project.objects,
      link,
      folder,
      workers: farm.status.workers,
      signal,
      onChange: (news) => {
        actions = news;
        draw();
      },
      onDispatched: ({ action, worker }) => {
        if (!printer.isTerminal) printer.note(`  ${action.label} goes to ${worker}`);
      },
    });
    clearInterval(timer);
    printer.liveEnd();
    for (const line of demoTable(result.actions, performance.now())) printer.line(line);
    return result;
  };
  const first = await round(
    `${project.language}: ${project.objects.length} objects${link === undefined ? '' : ' and a link'}, first time`,
  );
  const second = await round('The same again');
  return sayOutcome(context, { first, second, farm, compiler });
}

/** The program of examples/kernels refers to objects of all its architectures. */
function linkOf(project: DemoProject): DemoAction | undefined {
  const complete = DEMO_ARCHITECTURES.every((arch) =>
    project.objects.some(({ output }) => output.includes(arch)),
  );
  return project.language === 'C++' || complete ? project.link : undefined;
}

/** A folder with the project's sources and nothing that was built. */
async function prepareFolder(project: DemoProject, folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const actions = [...project.objects, project.link];
  const made = new Set(actions.map(({ output }) => output));
  const sources = new Set(actions.flatMap(({ inputs }) => inputs).filter((input) => !made.has(input)));
  for (const source of sources) await copyFile(join(project.folder, source), join(folder, source));
}

interface Outcome {
  readonly first: DemoRound;
  readonly second: DemoRound;
  readonly farm: DemoFarm;
  readonly compiler: DemoCompiler;
}

function sayOutcome({ printer }: CommandContext, { first, second, farm, compiler }: Outcome): number {
  const missed = second.actions.filter(({ stage }) => stage !== 'hit').map(({ action }) => action.label);
  const hitsAtFirst = first.actions.filter(({ stage }) => stage === 'hit').length;
  const ratio = first.totalMs / second.totalMs;
  const [firstTime, secondTime] = [formatDuration(first.totalMs), formatDuration(second.totalMs)];
  printer.line(
    `\nfirst time ${firstTime} (${first.actions.length - hitsAtFirst} run, ${hitsAtFirst} from the cache), ` +
      `again ${secondTime} (${second.actions.length - missed.length} of ${second.actions.length} from the cache): ` +
      `${ratio.toFixed(1)} times as fast`,
  );
  printer.result({
    compiler: compiler.sentence,
    cuda: compiler.toolchain !== undefined,
    sandbox: farm.sandbox,
    sandboxReasons: farm.sandboxReasons,
    bus: farm.busExplanation,
    rounds: [first, second].map(({ actions, totalMs }) => ({
      milliseconds: Math.round(totalMs),
      actions: actions.map(({ action, stage, worker }) => ({ label: action.label, stage, worker })),
    })),
    ratio,
    missed,
  });
  if (missed.length === 0) {
    printer.line('next: `ingot up` starts a farm that stays, `ingot run --help` says how to send it work');
    return ExitCode.OK;
  }
  printer.error(
    `error: expected every action of the second round from the cache; these ran again: ${missed.join(', ')}`,
  );
  return ExitCode.FAILED;
}
