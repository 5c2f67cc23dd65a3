import { describe, expect, it } from 'vitest';
import { CUDA_VERSION_DEFAULT, cudaRelease } from '../../../cli/toolchain/cuda-release.ts';
import { Code } from '../../../proto/gen/google/rpc/code.ts';
import { thrown } from '../../setup/rejection.ts';

describe('cudaRelease', () => {
  it('pins the default version on x86-64 by hash, and knows its size', () => {
    const release = cudaRelease(CUDA_VERSION_DEFAULT, 'x64');
    expect(release.pinned).toBe(true);
    expect(release.downloadBytes).toBe(128_953_523);
    expect(release.requirements).toHaveLength(5);
    for (const line of release.requirements) {
      expect(line).toMatch(/^nvidia-[a-z-]+==13\.[0-9.]+ --hash=sha256:[0-9a-f]{64}$/);
    }
  });

  it('leaves other versions and machines to the package that knows which parts belong together', () => {
    const requirements = ['cuda-toolkit[nvcc,crt,nvvm,cudart,cccl]==13.0.*'];
    expect(cudaRelease('13.0', 'x64')).toEqual({ version: '13.0', requirements, pinned: false });
    expect(cudaRelease('13.5', 'arm64').pinned).toBe(false);
  });

  it.each(['12.8', '13', '13.5.37', '14.0', '13.5 --pre', ''])('refuses version %j', (version) => {
    const error = thrown(() => cudaRelease(version, 'x64'));
    expect(error.code).toBe(Code.INVALID_ARGUMENT);
    expect(error.message).toBe(
      `CUDA version ${JSON.stringify(version)} cannot be installed, expected 13.x such as 13.5`,
    );
  });
});
