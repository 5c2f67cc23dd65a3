import type { Command } from 'commander';
import { UsageError } from '../usage-error.ts';

/** A command as the generators see it. */
interface Completable {
  /** `toolchain add`; empty for the program itself. */
  readonly path: string;
  readonly description: string;
  readonly subcommands: readonly { readonly name: string; readonly description: string }[];
  readonly flags: readonly { readonly long: string; readonly description: string }[];
}

const GENERATORS = new Map([
  ['bash', bash],
  ['zsh', zsh],
  ['fish', fish],
]);

/** A script for a shell that completes commands and flags, and files elsewhere; made from the command tree. */
export function completionScript(program: Command, shell: string): string {
  const generate = GENERATORS.get(shell);
  if (generate === undefined) {
    throw new UsageError(
      `completion: ${JSON.stringify(shell)} is not known, expected ${[...GENERATORS.keys()].join(', ')}`,
    );
  }
  return generate(flatten(program, ''));
}

function flatten(command: Command, path: string): Completable[] {
  const own: Completable = {
    path,
    description: command.description(),
    subcommands: command.commands.map((child) => ({ name: child.name(), description: child.description() })),
    flags: command
      .createHelp()
      .visibleOptions(command)
      .concat(globalFlags(command))
      .flatMap(({ long, description }) => (long ? [{ long, description }] : [])),
  };
  return [
    own,
    ...command.commands.flatMap((child) =>
      flatten(child, path === '' ? child.name() : `${path} ${child.name()}`),
    ),
  ];
}

function globalFlags(command: Command) {
  return command.parent === null ? [] : command.createHelp().visibleGlobalOptions(command);
}

function words({ subcommands, flags }: Completable): string {
  return [...subcommands.map(({ name }) => name), ...flags.map(({ long }) => long)].join(' ');
}

/** The words that lead to the command under the cursor, for bash and zsh. */
function pathFinder(commands: readonly Completable[], list: string, last: string): string {
  const known = commands.filter(({ path }) => path !== '').map(({ path }) => `"${path}"`);
  return `  local path="" word candidate
  for word in ${list}; do
    [ "$word" = "--" ] && return 0
    candidate="\${path:+$path }$word"
    case "$candidate" in
      ${known.join('|')}) path="$candidate" ;;
    esac
  done
  ${last}`;
}

function bash(commands: readonly Completable[]): string {
  const cases = commands.map((command) => `    "${command.path}") words="${words(command)}" ;;`);
  return `# bash completion for ingot
_ingot() {
  local words="" current="\${COMP_WORDS[COMP_CWORD]}"
${pathFinder(commands, `"\${COMP_WORDS[@]:1:COMP_CWORD-1}"`, 'case "$path" in')}
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _ingot ingot`;
}

function zsh(commands: readonly Completable[]): string {
  const cases = commands.map(({ path, subcommands, flags }) => {
    const entries = [
      ...subcommands.map(({ name, description }) => quoted(`${name}:${description}`)),
      ...flags.map(({ long, description }) => quoted(`${long}:${description}`)),
    ];
    return `    "${path}") entries=(${entries.join(' ')}) ;;`;
  });
  return `#compdef ingot
_ingot() {
  local -a entries
${pathFinder(commands, `\${words[2,CURRENT-1]}`, 'case "$path" in')}
${cases.join('\n')}
  esac
  _describe ingot entries
  _files
}
if [ "$funcstack[1]" = "_ingot" ]; then _ingot "$@"; else compdef _ingot ingot; fi`;
}

function fish(commands: readonly Completable[]): string {
  const lines = commands.flatMap(({ path, subcommands, flags }) => {
    const names = path === '' ? [] : path.split(' ');
    const condition =
      names.length === 0
        ? '__fish_use_subcommand'
        : names.map((name) => `__fish_seen_subcommand_from ${name}`).join('; and ');
    const start = `complete -c ingot -n ${quoted(condition)}`;
    return [
      ...subcommands.map(({ name, description }) => `${start} -a ${quoted(name)} -d ${quoted(description)}`),
      ...flags.map(
        ({ long, description }) => `${start} -l ${long.replace(/^--/, '')} -d ${quoted(description)}`,
      ),
    ];
  });
  return ['# fish completion for ingot', ...lines].join('\n');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
