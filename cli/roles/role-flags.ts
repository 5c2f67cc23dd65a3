import type { Command } from 'commander';
import { collect } from '../parse-option.ts';

/** Flag, as commander writes it, and what it means. A `<…>…` one may be repeated. */
type RoleFlag = readonly [flag: string, description: string, repeated?: 'repeated'];

// The settings themselves, with their types, are in each role's config.ts. Here they are named for the help, apart,
// since `ingot status` need not load what checks them. A test holds the two together.

/** Of every role. */
export const PROCESS_FLAGS: readonly RoleFlag[] = [
  [
    '--data <dir>',
    'folder for everything that is kept (default: /var/lib/ingot for root, else ~/.local/share/ingot)',
  ],
  ['--log-level <level>', 'debug, info, warn, error or silent'],
  ['--log-format <format>', 'text or json'],
];

/** Of roles that serve calls. */
export const DRAIN_FLAG: RoleFlag = [
  '--drain-timeout <time>',
  'how long calls may take after SIGTERM (default 30s)',
];
/** Where an endpoint listens. */
export const GRPC_FLAG: RoleFlag = ['--grpc <host:port>', 'where gRPC listens'];
export const HTTP_FLAG: RoleFlag = ['--http <host:port>', 'where the HTTP cache listens'];
export const NATS_FLAG: RoleFlag = [
  '--nats <url>',
  'the NATS server, nats://[TOKEN@]HOST:PORT (default nats://127.0.0.1:4222; `ingot up`: its own)',
];
export const CACHE_ADDRESS_FLAGS: readonly RoleFlag[] = [
  [
    '--cache <host:port>',
    "the cache's gRPC address; several nodes with commas between (default 127.0.0.1:8982)",
  ],
  ['--cache-failover <true|false>', 'while a cache node is away the next one answers (default true)'],
];
export const BUS_PREFIX_FLAG: RoleFlag = [
  '--bus-prefix <words>',
  "first words of this farm's NATS subjects (default ingot)",
];
/** Where the process is to die, for tests. Not shown. */
export const FAIL_FLAG: RoleFlag = ['--fail <points>', 'for tests: where the process is to die'];

/** Who may call a role that serves calls, and how it proves itself. */
export const SECURITY_FLAGS: readonly RoleFlag[] = [
  [
    '--tokens <file>',
    'static tokens, from `ingot token` (default: tokens.json in the data folder, if there)',
  ],
  ['--allow-anonymous <true|false>', 'serve anyone beyond this machine, without credentials (default false)'],
  ['--tls-cert <file>', 'PEM file of the certificate and its chain (default: clear text)'],
  ['--tls-key <file>', 'PEM file of its key'],
  ['--tls-client-ca <file>', 'PEM file of the authority of client certificates (default: none is asked for)'],
  ['--tls-client-role <rule>', 'who has which role, NAME=ROLE or NAME*=ROLE:INSTANCE+INSTANCE', 'repeated'],
  ['--jwks <file-or-url>', 'keys of an identity provider whose tokens are taken'],
  ['--jwt-issuer <iss>', 'the issuer such a token must have'],
  ['--jwt-audience <aud>', 'the audience such a token must have'],
  ['--jwt-role-claim <claim>', 'its claim with the role (default ingot_role)'],
  ['--jwt-instances-claim <claim>', 'its claim with the instances it may use (default: any)'],
];

/** Of the cache. */
export const CACHE_FLAGS: readonly RoleFlag[] = [
  ['--blob-bytes-max <size>', 'largest blob that is taken (default 256GiB)'],
  ['--cache-bytes <size>', 'most bytes of blobs that are kept (default: 80 % of the free disk)'],
  ['--invocation-ttl <time>', 'how long a build keeps what it used, after its last call (default 10m)'],
  ['--small-blob-bytes <size>', 'blobs up to this size share files, 0 makes each a file (default 64KiB)'],
  ['--scrub-rate <size>', 'bytes a second re-read to find damaged blobs, 0 for none (default 8MiB)'],
  ['--recent-blob-bytes <size>', 'memory for small blobs written or read last (default 32MiB)'],
  ['--action-cache-updates <true|false>', 'clients may write action results of their own (default true)'],
  ['--tier <s3://bucket/prefix>', 'object store behind this cache, shared with others (default: none)'],
  ['--tier-endpoint <url>', "the object store's URL (default: AWS's for the region)"],
  [
    '--tier-region <name>',
    'its region (default: as AWS variables and files say; us-east-1 with an endpoint)',
  ],
  [
    '--tier-path-style <true|false>',
    'the bucket is in the path, not in the host name (default: with an endpoint)',
  ],
  ['--tier-write <queue|sync>', 'answer a write when its upload is recorded, or done (default queue)'],
  ['--tier-timeout <time>', 'how long an answer may take to begin, or a transfer stand still (default 5s)'],
  ['--tier-sync-wait <time>', 'how long a write waits with sync, before it is UNAVAILABLE (default 60s)'],
  ['--tier-remember <time>', 'how long it is remembered that the object store has a blob (default 10m)'],
  ['--tier-uploads <count>', 'uploads to it at once (default 32)'],
  ['--tier-queue-uploads <count>', 'uploads that may be pending before writes wait (default 50000)'],
  ['--tier-queue-bytes <size>', 'bytes that may be pending before writes wait (default 16GiB)'],
];

/** Of the scheduler. */
export const SCHEDULER_FLAGS: readonly RoleFlag[] = [
  ['--operations-queued-max <count>', 'actions that may wait (default 100000)'],
  ['--attempts-max <count>', 'tries of an action whose worker is lost (default 3)'],
  ['--action-timeout-max <time>', 'longest an action may run (default 24h)'],
  [
    '--worker-wait <time>',
    'how long an action waits for a worker of its kind while there is none (default 60s)',
  ],
  ['--abandon-queued-after <time>', 'how long a queued action is kept that no one waits for (default 60s)'],
  ['--abandon-executing-after <time>', 'the same for a running one (default 10m)'],
  ['--completed-kept <time>', 'how long a finished operation can be asked for (default 10m)'],
];

/** Of the worker. */
export const WORKER_FLAGS: readonly RoleFlag[] = [
  ['--slots <count>', 'actions at once (default: one a core)'],
  ['--cores <count>', 'cores that actions may reserve (default: all)'],
  ['--memory <size>', "memory that actions may reserve (default: 90 % of the machine's)"],
  ['--sandbox <level>', 'strict, basic or none (default strict; never lowered in silence)'],
  ['--accept <name>', 'a platform property for which any value will do, such as container-image', 'repeated'],
  ['--property <name=value>', 'a platform property to offer', 'repeated'],
  ['--pool <name>', 'offered as the property `pool`'],
  ['--worker-id <id>', 'unique in the farm (default: made from host name and folder)'],
  ['--worker-folder <dir>', "the worker's own folder (default: `worker` in the data folder)"],
  ['--gpu-inventory <file>', 'YAML file of imaginary GPUs, to try out a farm'],
  ['--heartbeat-interval <time>', 'how often the worker reports (default 2s)'],
  ['--drain-grace <time>', 'how long running actions may take after SIGTERM (default 30s)'],
  ['--store-wait <time>', 'how long a cache that is away is waited for (default 1m)'],
  ['--blob-cache <size>', 'disk for cached inputs (default 20GiB)'],
  ['--disk-free <size>', 'free disk space below which nothing new is taken (default 1GiB)'],
  ['--action-timeout-max <time>', 'longest an action may run (default 24h)'],
  ['--kill-grace <time>', 'between SIGTERM and SIGKILL at a timeout or cancel (default 5s)'],
  ['--action-pids <count>', 'processes and threads of one action (default 4096)'],
  ['--cpu-ceiling <true|false>', 'reserved cores are a ceiling, not a weight (default false)'],
  ['--action-log <size>', 'stdout and stderr of one action, each (default 64MiB)'],
  ['--action-tmp <size>', '/tmp of one action (default 4GiB)'],
  ['--action-output <size>', 'all outputs of one action (default 32GiB)'],
  ['--action-output-entries <count>', 'files in all outputs of one action (default 250000)'],
  ['--action-output-depth <count>', 'levels of directories in one output (default 200)'],
];

const CONFIG_HELP = `
Each setting can also be given as a variable (--log-level as INGOT_LOG_LEVEL) or in a YAML file (logLevel: warn) named
by --config; flags come before variables, variables before the file.`;

/** Adds flags to a role's command, each name once, with --config and the word on variables and the file. */
export function addRoleFlags(command: Command, ...groups: readonly (readonly RoleFlag[])[]): Command {
  const seen = new Set<string>();
  for (const [flag, description, repeated] of groups.flat()) {
    if (seen.has(flag)) continue;
    seen.add(flag);
    const option = command.createOption(flag, description);
    if (flag === FAIL_FLAG[0]) option.hideHelp();
    if (repeated !== undefined) option.argParser(collect);
    command.addOption(option);
  }
  return command.option('--config <file>', 'YAML file of settings').addHelpText('after', CONFIG_HELP);
}
