import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cacheRoleSchema } from '../../../cli/roles/cache-role.ts';
import { type RoleFlags, readRoleConfig } from '../../../cli/roles/process-config.ts';
import { UsageError } from '../../../cli/usage-error.ts';
import { CapturedStream } from '../captured-stream.ts';
import { tempFolder } from '../temp-folder.ts';

function read(flags: RoleFlags, environment: Record<string, string> = {}, cwd = '/work') {
  const io = {
    environment: { HOME: '/home/a', ...environment },
    cwd,
    stdout: new CapturedStream(),
    stderr: new CapturedStream(),
  };
  return readRoleConfig(cacheRoleSchema, flags, io);
}

describe('readRoleConfig', () => {
  it('takes flags before variables, and variables before the file', () => {
    const folder = tempFolder();
    writeFileSync(join(folder, 'ingot.yaml'), 'logLevel: error\nlogFormat: json\ngrpc: 0.0.0.0:1\n');
    const config = read(
      { config: 'ingot.yaml', grpc: '127.0.0.1:3' },
      { INGOT_GRPC: '127.0.0.1:2', INGOT_LOG_LEVEL: 'debug' },
      folder,
    );
    expect(config).toMatchObject({
      grpc: { host: '127.0.0.1', port: 3 },
      logLevel: 'debug',
      logFormat: 'json',
      http: { host: '127.0.0.1', port: 8981 },
    });
  });

  it.each([
    [{ data: 'here' }, {}, '/work/here'],
    [{}, { INGOT_DATA: '/there' }, '/there'],
    [{}, { XDG_DATA_HOME: '/xdg' }, '/xdg/ingot'],
  ])('puts the data of %j with %j in %s', (flags, environment, data) => {
    expect(read(flags, environment as Record<string, string>).data).toBe(data);
  });

  it('reports all problems together, as wrong usage', () => {
    expect(() => read({ grpc: 'nowhere', drainTimeout: 'soon' }, { INGOT_LOG_LEVEL: 'loud' })).toThrow(
      new UsageError(
        [
          'configuration: 3 problems',
          '  INGOT_LOG_LEVEL: Invalid option: expected one of "debug"|"info"|"warn"|"error"|"silent"',
          '  --drain-timeout: expected a time with its unit such as 500ms, 30s or 1h30m',
          '  --grpc: expected HOST:PORT such as 127.0.0.1:8980 or [::1]:8980',
        ].join('\n'),
      ),
    );
  });
});
