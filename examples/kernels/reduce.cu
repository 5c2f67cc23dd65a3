// The sum of an array: a block sums its share through warps and shared memory, then adds it to the total.
#include <cuda_runtime.h>

#include "tile.cuh"

namespace KERNEL_ARCH {

constexpr int kBlocksMax = 128;

__global__ void reduce_kernel(int count, const float *values, float *total) {
  __shared__ float warp_totals[kTileThreads / kWarpThreads];

  float sum = 0.0f;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) sum += values[i];

  sum = warp_sum(sum);
  if (threadIdx.x % kWarpThreads == 0) warp_totals[threadIdx.x / kWarpThreads] = sum;
  __syncthreads();

  if (threadIdx.x < kWarpThreads) {
    sum = threadIdx.x < kTileThreads / kWarpThreads ? warp_totals[threadIdx.x] : 0.0f;
    sum = warp_sum(sum);
    if (threadIdx.x == 0) atomicAdd(total, sum);
  }
}

// `total` is one float on the device, set to zero by the caller.
cudaError_t reduce(int count, const float *values, float *total) {
  const int blocks = (count + kTileThreads - 1) / kTileThreads;
  reduce_kernel<<<blocks < kBlocksMax ? blocks : kBlocksMax, kTileThreads>>>(count, values, total);
  return cudaGetLastError();
}

}  // namespace KERNEL_ARCH
