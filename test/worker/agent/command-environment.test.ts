import { expect, test } from 'vitest';
import { commandEnvironment } from '../../../worker/agent/command-environment.ts';

const CUDA = { pathEntries: ['/opt/ingot/cuda/bin'], environment: { CUDA_HOME: '/opt/ingot/cuda' } };

test('a command that sets nothing gets a path, a home and a place for temporary files', () => {
  expect(commandEnvironment({ environmentVariables: [] }, [], 'strict')).toEqual([
    { name: 'PATH', value: '/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin' },
    { name: 'HOME', value: '/tmp' },
    { name: 'TMPDIR', value: '/tmp' },
  ]);
});

test('toolchains come first on the path and set their variables', () => {
  const variables = commandEnvironment({ environmentVariables: [] }, [CUDA], 'none');
  expect(variables).toEqual([
    {
      name: 'PATH',
      value: '/opt/ingot/cuda/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin',
    },
    { name: 'CUDA_HOME', value: '/opt/ingot/cuda' },
  ]);
});

test('what the command sets stands as it is', () => {
  const environmentVariables = ['PATH', 'HOME', 'TMPDIR', 'CUDA_HOME'].map((name) => ({
    name,
    value: `my ${name}`,
  }));
  const variables = commandEnvironment({ environmentVariables }, [CUDA], 'strict');
  expect(variables).toEqual(environmentVariables);
});
