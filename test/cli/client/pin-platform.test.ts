import { describe, expect, it } from 'vitest';
import { pinPlatform } from '../../../cli/client/pin-platform.ts';
import { WorkerStatus } from '../../../proto/gen/ingot/v1/farm.ts';

const CUDA_13_5 = `cuda-13.5-${'a'.repeat(12)}`;
const CUDA_13_10 = `cuda-13.10-${'b'.repeat(12)}`;

function worker(...properties: string[]): WorkerStatus {
  return WorkerStatus.fromPartial({
    workerId: 'w',
    properties: properties.map((text) => {
      const [name = '', value = ''] = text.split('=');
      return { name, value, treatment: 0 };
    }),
  });
}

describe('pinPlatform', () => {
  it('adds the image of the farm', () => {
    const pinned = pinPlatform([worker('image=host-1')], [{ name: 'os', value: 'linux' }], ['cc']);
    expect(pinned.platform).toEqual([
      { name: 'os', value: 'linux' },
      { name: 'image', value: 'host-1' },
    ]);
    expect(pinned.notes).toEqual(['image host-1']);
  });

  it.each([
    [['nvcc', '-c', 'a.cu']],
    [['/usr/local/cuda/bin/ptxas', 'a.ptx']],
    [['sh', '-c', 'cd src && nvcc -c a.cu']],
    [['ccache', 'nvcc', 'a.cu']],
  ])('adds the CUDA toolchain for %j', (commandLine) => {
    const pinned = pinPlatform([worker(`toolchain=${CUDA_13_5}`)], [], commandLine);
    expect(pinned.platform).toEqual([{ name: 'toolchain', value: CUDA_13_5 }]);
  });

  it('adds no toolchain for a command that mentions none of its tools', () => {
    const pinned = pinPlatform([worker(`toolchain=${CUDA_13_5}`)], [], ['cc', 'nvcc.c', '-o', 'my-nvcc']);
    expect(pinned).toEqual({ platform: [], notes: [], warnings: [] });
  });

  it('takes the newest version, and says which others there are', () => {
    const pinned = pinPlatform([worker(`toolchain=${CUDA_13_5}`, `toolchain=${CUDA_13_10}`)], [], ['nvcc']);
    expect(pinned.platform).toEqual([{ name: 'toolchain', value: CUDA_13_10 }]);
    expect(pinned.notes).toEqual([`toolchain ${CUDA_13_10}, the newest; also there: ${CUDA_13_5}`]);
  });

  it('takes the image of workers that have the toolchain', () => {
    const workers = [
      worker('image=host-1'),
      worker('image=host-1'),
      worker('image=host-2', `toolchain=${CUDA_13_5}`),
    ];
    expect(pinPlatform(workers, [], ['nvcc']).platform).toContainEqual({ name: 'image', value: 'host-2' });
    expect(pinPlatform(workers, [], ['cc']).platform).toEqual([{ name: 'image', value: 'host-1' }]);
  });

  it('looks only at workers that have what was asked for', () => {
    const workers = [worker('image=host-1', 'pool=a'), worker('image=host-2', 'pool=b')];
    const pinned = pinPlatform(workers, [{ name: 'pool', value: 'b' }], ['cc']);
    expect(pinned.platform).toContainEqual({ name: 'image', value: 'host-2' });
  });

  it('leaves what the person chose', () => {
    const requested = [
      { name: 'image', value: 'mine' },
      { name: 'toolchain', value: 'my-cuda' },
    ];
    const pinned = pinPlatform([worker('image=host-1', `toolchain=${CUDA_13_5}`)], requested, ['nvcc']);
    expect(pinned).toEqual({ platform: requested, notes: [], warnings: [] });
  });

  it('warns when no worker announces the toolchain', () => {
    expect(pinPlatform([worker('toolchain=strange')], [], ['nvcc']).warnings).toEqual([
      'no worker announces a cuda toolchain, so the command can only find one that the machine itself has, and the ' +
        "result is not tied to it (`ingot toolchain add cuda` on a worker's machine, then start it again)",
    ]);
  });
});
