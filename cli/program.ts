import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { DEFAULT_ENDPOINT, type FarmAddress, parseEndpoint } from './client/farm-address.ts';
import type { CommandContext, CommandHost, ProgramIo } from './command-context.ts';
import { registerCommands } from './commands/register-commands.ts';
import { ExitCode } from './exit-code.ts';
import { Interrupts } from './interrupts.ts';
import { ConsolePrinter, type OutputStream, type Verbosity } from './output/console-printer.ts';
import { describeError } from './output/describe-error.ts';
import { reflow } from './output/reflow.ts';
import { UsageError } from './usage-error.ts';

interface GlobalOptions {
  readonly endpoint?: string;
  readonly instance?: string;
  readonly tokenFile?: string;
  readonly tlsCa?: string;
  readonly tlsClientCert?: string;
  readonly tlsClientKey?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

/** Of help that goes to a pipe or a file. */
const COLUMNS_WITHOUT_TERMINAL = 100;

const HELP = `
Variables: INGOT_ENDPOINT, INGOT_INSTANCE; INGOT_DATA for the data folder; INGOT_TOKEN, the token itself, is sent with
every call; INGOT_TOKEN_FILE, INGOT_TLS_CA, INGOT_TLS_CLIENT_CERT and INGOT_TLS_CLIENT_KEY stand for the flags.
Exit codes: 0 done, 1 the answer is no, 2 wrong usage, 65 bad data, 66 not found, 69 farm unavailable, 70 our fault,
73 cannot write, 75 a limit is reached, 77 not allowed, 78 not set up for it, 124 timeout, 130 interrupted.
\`ingot run\` ends with the exit code of the command it ran.
`;

/** The command tree. `contextOf` makes a command's context once its options are known. */
export function createProgram(io: ProgramIo, host: CommandHost, version: string): Command {
  const program = new Command('ingot')
    .description('A cache and execution farm for C++, CUDA and training, speaking Remote Execution API v2.')
    .version(version, '--version', 'print the version')
    .option(
      '--endpoint <host:port>',
      `the farm to talk to, grpcs://… for TLS (INGOT_ENDPOINT; default ${DEFAULT_ENDPOINT})`,
    )
    .option('--instance <name>', 'the instance name sent with every call (INGOT_INSTANCE; default none)')
    .option('--token-file <file>', 'the file that holds your token (or the token itself in INGOT_TOKEN)')
    .option('--tls-ca <file>', 'PEM file of the authority of a grpcs:// endpoint (default: the public ones)')
    .option('--tls-client-cert <file>', 'PEM file of your certificate, where the farm asks for one')
    .option('--tls-client-key <file>', 'PEM file of its key')
    .option('--json', 'answers as JSON on stdout, one value or one a line; all else on stderr')
    .option('--quiet', 'errors and warnings only')
    .option('--verbose', 'every detail, and where an error comes from')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .configureOutput({
      writeOut: (text) => io.stdout.write(reflow(text, columnsOf(io.stdout))),
      writeErr: (text) => io.stderr.write(reflow(text, columnsOf(io.stderr))),
      getOutHelpWidth: () => columnsOf(io.stdout),
      getErrHelpWidth: () => columnsOf(io.stderr),
    })
    .showHelpAfterError('(--help shows what is expected)')
    .exitOverride()
    .addHelpText('after', HELP);
  registerCommands(program, host);
  return program;
}

/** Runs a command line to its end; resolves with the exit code. */
export async function main(argv: readonly string[], io: ProgramIo = processIo()): Promise<number> {
  using interrupts = new Interrupts({ source: process, onForce: () => process.exit(ExitCode.INTERRUPTED) });
  const version = readVersion();
  let exitCode: number = ExitCode.OK;
  // Until the options are read, errors go out as those words on the command line say.
  const own = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined);
  let printer = makePrinter(io, { json: own.includes('--json'), verbose: own.includes('--verbose') });
  const host: CommandHost = {
    action:
      (run) =>
      async (...args) => {
        const command = args.at(-1) as Command;
        const globals = command.optsWithGlobals<GlobalOptions>();
        printer = makePrinter(io, globals);
        const farm = farmAddress(globals, io);
        const context: CommandContext = { io, printer, farm, version, signal: interrupts.signal };
        exitCode = (await run(context, command.optsWithGlobals() as never, command.args)) ?? ExitCode.OK;
      },
  };
  try {
    await createProgram(io, host, version).parseAsync(argv, { from: 'user' });
  } catch (error) {
    const described = describeError(error, { verbose: printer.verbosity === 'verbose' });
    for (const line of described.lines) printer.error(line);
    const [first] = described.lines;
    if (first !== undefined) {
      printer.result({ error: { code: described.code, message: first.replace(/^error: /, '') } });
    }
    exitCode = described.exitCode;
  }
  return exitCode;
}

function makePrinter(io: ProgramIo, { json, quiet, verbose }: GlobalOptions): ConsolePrinter {
  const verbosity: Verbosity = verbose ? 'verbose' : quiet ? 'quiet' : 'normal';
  return new ConsolePrinter({ stdout: io.stdout, stderr: io.stderr, json: json === true, verbosity });
}

function farmAddress(globals: GlobalOptions, { environment }: ProgramIo): FarmAddress {
  const { endpoint, instance, quiet, verbose } = globals;
  if (quiet && verbose) throw new UsageError('--quiet and --verbose exclude each other');
  const fromEnvironment = environment.INGOT_ENDPOINT || undefined;
  const { address, tls } =
    endpoint === undefined
      ? parseEndpoint(fromEnvironment ?? DEFAULT_ENDPOINT, 'INGOT_ENDPOINT')
      : parseEndpoint(endpoint, '--endpoint');
  return {
    endpoint: address,
    instanceName: instance ?? environment.INGOT_INSTANCE ?? '',
    security: {
      token: environment.INGOT_TOKEN || undefined,
      tokenFile: globals.tokenFile ?? (environment.INGOT_TOKEN_FILE || undefined),
      tls,
      tlsCa: globals.tlsCa ?? (environment.INGOT_TLS_CA || undefined),
      tlsClientCert: globals.tlsClientCert ?? (environment.INGOT_TLS_CLIENT_CERT || undefined),
      tlsClientKey: globals.tlsClientKey ?? (environment.INGOT_TLS_CLIENT_KEY || undefined),
    },
  };
}

function columnsOf({ columns }: OutputStream): number {
  return columns ?? COLUMNS_WITHOUT_TERMINAL;
}

function readVersion(): string {
  const file = new URL('../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return version;
}

function processIo(): ProgramIo {
  return { environment: process.env, cwd: process.cwd(), stdout: process.stdout, stderr: process.stderr };
}
