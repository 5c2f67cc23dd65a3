import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { completionScript } from '../../../cli/completion/completion-script.ts';
import { createProgram } from '../../../cli/program.ts';
import { CapturedStream } from '../captured-stream.ts';
import { tempFolder } from '../temp-folder.ts';

const io = { environment: {}, cwd: '/', stdout: new CapturedStream(), stderr: new CapturedStream() };
const program = createProgram(io, { action: () => async () => undefined }, '0.0.0');

/** What bash offers for a command line that ends at the cursor. */
function completed(...words: string[]): string[] {
  const script = join(tempFolder(), 'ingot.bash');
  writeFileSync(script, completionScript(program, 'bash'));
  const quoted = words.map((word) => `'${word}'`).join(' ');
  const output = execFileSync('bash', [
    '-c',
    `source "$0"; COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _ingot; printf '%s\\n' "\${COMPREPLY[@]}"`,
    script,
  ]);
  return output
    .toString()
    .split('\n')
    .filter((line) => line !== '');
}

describe('completionScript', () => {
  it('completes commands in bash', () => {
    expect(completed('ingot', 'st')).toEqual(['status']);
  });

  it("completes a command's own flags and the global ones in bash", () => {
    expect(completed('ingot', 'run', '--in')).toEqual(['--input', '--instance']);
  });

  it('completes subcommands in bash, behind global flags too', () => {
    expect(completed('ingot', '--json', 'toolchain', 'a')).toEqual(['add']);
  });

  it('offers nothing of its own behind -- in bash', () => {
    expect(completed('ingot', 'run', '--', '--in')).toEqual([]);
  });

  it.each(['zsh', 'fish'])('names every command and flag for %s', (shell) => {
    const script = completionScript(program, shell);
    for (const command of program.commands) expect(script).toContain(command.name());
    expect(script).toContain('cache-lookup');
  });
});
