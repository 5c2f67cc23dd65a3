import { describe, expect, test } from 'vitest';
import type { Toolchain } from '../../../core/toolchain/toolchain.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { actionPlatform, type WorkerPlatform } from '../../../worker/agent/action-platform.ts';
import { thrown } from '../../setup/rejection.ts';

const MOUNT_POINT = '/opt/ingot/cuda-13.5-0123456789ab';
const CUDA: Toolchain = {
  id: 'cuda-13.5-0123456789ab',
  name: 'cuda',
  version: '13.5',
  build: '13.5.1',
  source: 'packages',
  identity: '0123456789abcdef',
  files: 1,
  bytes: 1,
  folder: '/data/toolchains/cuda',
  hostRoot: '/data/toolchains/cuda/tree',
  mountPoint: MOUNT_POINT,
  mounts: [{ source: '/data/toolchains/cuda/tree/bin', target: `${MOUNT_POINT}/bin` }],
  pathEntries: [`${MOUNT_POINT}/bin`],
  environment: { CUDA_HOME: MOUNT_POINT },
};
const WORKER: WorkerPlatform = { level: 'strict', toolchains: [CUDA], acceptedNames: [] };

function platform(properties: Readonly<Record<string, string[]>>, worker: Partial<WorkerPlatform> = {}) {
  return actionPlatform(new Map(Object.entries(properties)), { ...WORKER, ...worker });
}

describe('actionPlatform', () => {
  test('an action that asks for no toolchain is shown none', () => {
    expect(platform({})).toEqual({ toolchains: [], mounts: [], inputRootPath: '/ingot/work' });
  });

  test('the toolchain an action asks for is mounted', () => {
    const { toolchains, mounts } = platform({ toolchain: ['cuda-13.5-0123456789ab'] });
    expect(toolchains).toEqual([CUDA]);
    const hostPath = '/data/toolchains/cuda/tree/bin';
    expect(mounts).toEqual([{ hostPath, sandboxPath: `${MOUNT_POINT}/bin`, device: false }]);
  });

  test('without a sandbox the toolchain is used where it lies', () => {
    const [toolchain] = platform({ toolchain: ['cuda-13.5-0123456789ab'] }, { level: 'none' }).toolchains;
    expect(toolchain?.pathEntries).toEqual(['/data/toolchains/cuda/tree/bin']);
    expect(toolchain?.environment).toEqual({ CUDA_HOME: '/data/toolchains/cuda/tree' });
  });

  test('a toolchain that is gone is for another worker, unless the host stands in for it', () => {
    expect(thrown(() => platform({ toolchain: ['cuda-12.0-ffffffffffff'] }))).toMatchObject({
      code: Code.UNAVAILABLE,
      message: 'toolchain "cuda-12.0-ffffffffffff" is not on this worker any more',
    });
    const accepted = platform({ toolchain: ['cuda-12.0-ffffffffffff'] }, { acceptedNames: ['toolchain'] });
    expect(accepted.mounts).toEqual([]);
  });

  test('the input root is where the action wants it', () => {
    expect(platform({ InputRootAbsolutePath: ['/w'] }).inputRootPath).toBe('/w');
    expect(platform({ InputRootAbsolutePath: ['/tmp/a/b'] }).inputRootPath).toBe('/tmp/a/b');
  });

  test.each([
    '/',
    'w',
    '/w/',
    '/w/../x',
    '/w x',
    '/usr',
    '/usr/x',
    '/etc/y',
    '/proc',
    '/dev/shm',
    '/tmp',
    '/opt/ingot/x',
    '/opt',
  ])('refuses %s as an input root', (path) => {
    const error = thrown(() => platform({ InputRootAbsolutePath: [path] }));
    expect(error.code).toBe(Code.INVALID_ARGUMENT);
    expect(error.message).toMatch(/^InputRootAbsolutePath ".*" is (a place where|not an absolute)/);
  });

  test.each([`/${'n'.repeat(256)}`, '/n'.repeat(251)])(
    'refuses an input root too long to be made',
    (path) => {
      const error = thrown(() => platform({ InputRootAbsolutePath: [path] }));
      expect(error.code).toBe(Code.INVALID_ARGUMENT);
      expect(error.message).toMatch(/ is longer than 500 characters, or has a name of more than 255$/);
    },
  );

  test('refuses two input roots', () => {
    const error = thrown(() => platform({ InputRootAbsolutePath: ['/w', '/x'] }));
    expect(error.message).toBe('InputRootAbsolutePath "/w" is given with another value as well');
  });
});
