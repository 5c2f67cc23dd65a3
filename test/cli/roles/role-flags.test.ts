import { describe, expect, it } from 'vitest';
import { createProgram } from '../../../cli/program.ts';
import { cacheRoleSchema } from '../../../cli/roles/cache-role.ts';
import { schedulerRoleSchema } from '../../../cli/roles/scheduler-role.ts';
import { upSchema } from '../../../cli/roles/up-role.ts';
import { workerRoleSchema } from '../../../cli/roles/worker-role.ts';
import { configSettings } from '../../../core/config/config-settings.ts';
import { CapturedStream } from '../captured-stream.ts';

const io = { environment: {}, cwd: '/', stdout: new CapturedStream(), stderr: new CapturedStream() };
const program = createProgram(io, { action: () => async () => undefined }, '0.0.0');

describe.each([
  ['up', upSchema],
  ['cache', cacheRoleSchema],
  ['scheduler', schedulerRoleSchema],
  ['worker', workerRoleSchema],
] as const)('the flags of ingot %s', (name, schema) => {
  const command = program.commands.find((candidate) => candidate.name() === name);
  const flags = command?.options.map(({ long }) => long).filter((long) => long !== '--config');
  const settings = configSettings(schema, 'INGOT_');

  it('are those of its configuration, no more and no fewer', () => {
    // A token is not for the command line, where others could read it; how a client proves itself is global.
    const elsewhere = new Set(['--token', ...program.options.map(({ long }) => long)]);
    const own = settings.map(({ flag }) => flag).filter((flag) => !elsewhere.has(flag));
    expect(flags?.toSorted()).toEqual(own.sort());
  });

  it('may be repeated exactly where the setting is a list', () => {
    const repeated = command?.options
      .filter(({ parseArg }) => parseArg !== undefined)
      .map(({ long }) => long);
    const lists = settings.filter(({ kind, fileKey }) => kind === 'array' || fileKey === 'property');
    expect(repeated?.toSorted()).toEqual(lists.map(({ flag }) => flag).sort());
  });
});
