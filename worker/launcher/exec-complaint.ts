import { ftruncateSync, readSync, writeSync } from 'node:fs';
import { unavailable } from '../../core/error.ts';

/** How much of bwrap's own complaint is read. */
const COMPLAINT_BYTES_MAX = 4096;
const NOT_FOUND_EXIT_CODE = 127;
const NOT_EXECUTABLE_EXIT_CODE = 126;
/** What bwrap says when all of the sandbox stands and only the command is missing. */
const EXEC_FAILED = /^bwrap: execvp (.*): ([^:]*)$/m;

/** Why a command was not started, as a shell would give it. */
export interface ExecComplaint {
  readonly exitCode: number;
  readonly message: string;
}

/**
 * To be read when bwrap ended without having started the command, so that stderr holds its words alone: says whether
 * there is no such program, in which case the words are put as a shell's. UNAVAILABLE when the sandbox itself failed.
 */
export function readExecComplaint(stderrFd: number): ExecComplaint {
  const buffer = Buffer.alloc(COMPLAINT_BYTES_MAX);
  const size = readSync(stderrFd, buffer, 0, COMPLAINT_BYTES_MAX, 0);
  const text = buffer.toString('utf8', 0, size).trim();
  const [, program, reason] = EXEC_FAILED.exec(text) ?? [];
  if (program === undefined || reason === undefined) {
    throw unavailable(`make the sandbox: ${text === '' ? 'it ended without a word' : text}`);
  }
  const absent = reason === 'No such file or directory';
  const message = `${program}: ${absent ? 'command not found' : reason}`;
  ftruncateSync(stderrFd, 0);
  writeSync(stderrFd, `${message}\n`, 0);
  return { exitCode: absent ? NOT_FOUND_EXIT_CODE : NOT_EXECUTABLE_EXIT_CODE, message };
}
