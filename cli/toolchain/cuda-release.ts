import { invalidArgument } from '../../core/error.ts';

/** A wheel that was installed, compiled with and linked with before its hash came here. */
interface PinnedWheel {
  readonly project: string;
  readonly release: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** What pip is asked for. */
export interface CudaRelease {
  /** `13.5`. */
  readonly version: string;
  /** Lines of a requirements file. */
  readonly requirements: readonly string[];
  /** Whether every requirement is pinned by hash. */
  readonly pinned: boolean;
  /** Size of all wheels together; undefined when they are not pinned. */
  readonly downloadBytes?: number;
}

/** The version that `ingot toolchain add cuda` brings unless told otherwise. */
export const CUDA_VERSION_DEFAULT = '13.5';

/** What a 13.x takes unpacked, and room to work; asked for before anything is downloaded. */
export const CUDA_DISK_BYTES = 700 * 1024 ** 2;

/** As many digits as pip needs to choose: the patch is the newest there is. */
const VERSION = /^13\.\d{1,2}$/;

/** The wheels of the default version, by `process.arch`. */
const PINNED: Readonly<Record<string, readonly PinnedWheel[]>> = {
  x64: [
    {
      project: 'nvidia-cuda-nvcc',
      release: '13.5.37',
      sha256: 'f5c4f7ead5d964fb4af42bbf1e6d3ec3c1e6e9d83b53749f691d387e7fcaa3a7',
      bytes: 47_028_279,
    },
    {
      project: 'nvidia-cuda-crt',
      release: '13.5.37',
      sha256: 'e898b7f73d3035fa89915a3f7bf3b54a73e90249746111aed295822c4729bb29',
      bytes: 166_163,
    },
    {
      project: 'nvidia-nvvm',
      release: '13.5.37',
      sha256: 'c41bfa362e407405163f103c2229f0765f8cc2ed7d148b754dc77f228bf7e070',
      bytes: 75_141_406,
    },
    {
      project: 'nvidia-cuda-runtime',
      release: '13.5.37',
      sha256: 'df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d',
      bytes: 2_504_024,
    },
    {
      project: 'nvidia-cuda-cccl',
      release: '13.3.5.0.6',
      sha256: 'd5230098fa2df5021e1a00c0c4eee41797671a91119d31e892463e5ccf3ee326',
      bytes: 4_113_651,
    },
  ],
};

/**
 * What to download for a CUDA version `13.x`. The default version on x86-64 is pinned by hash; for others NVIDIA's own
 * `cuda-toolkit` package says which parts belong together. 12.x packages are laid out in another way: refused.
 */
export function cudaRelease(version: string, arch: string): CudaRelease {
  if (!VERSION.test(version)) {
    throw invalidArgument(
      `CUDA version ${JSON.stringify(version)} cannot be installed, expected 13.x such as ${CUDA_VERSION_DEFAULT}`,
    );
  }
  const wheels = version === CUDA_VERSION_DEFAULT ? PINNED[arch] : undefined;
  if (wheels === undefined) {
    return {
      version,
      requirements: [`cuda-toolkit[nvcc,crt,nvvm,cudart,cccl]==${version}.*`],
      pinned: false,
    };
  }
  return {
    version,
    requirements: wheels.map(
      ({ project, release, sha256 }) => `${project}==${release} --hash=sha256:${sha256}`,
    ),
    pinned: true,
    downloadBytes: wheels.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}
