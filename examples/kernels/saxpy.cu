// y = a * x + y. Stands alone: an edit of tile.cuh does not recompile this file.
#include <cuda_runtime.h>

namespace KERNEL_ARCH {

constexpr int kThreads = 256;

__global__ void saxpy_kernel(int count, float a, const float *x, float *y) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) y[i] = a * x[i] + y[i];
}

cudaError_t saxpy(int count, float a, const float *x, float *y) {
  saxpy_kernel<<<(count + kThreads - 1) / kThreads, kThreads>>>(count, a, x, y);
  return cudaGetLastError();
}

}  // namespace KERNEL_ARCH
