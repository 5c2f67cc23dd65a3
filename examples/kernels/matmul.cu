// c = a * b for square row-major matrices, tile by tile through shared memory.
#include <cuda_runtime.h>

#include "tile.cuh"

namespace KERNEL_ARCH {

__global__ void matmul_kernel(int side, const float *a, const float *b, float *c) {
  __shared__ float tile_a[kTileSide][kTileSide];
  __shared__ float tile_b[kTileSide][kTileSide];

  const int row = blockIdx.y * kTileSide + threadIdx.y;
  const int column = blockIdx.x * kTileSide + threadIdx.x;

  float sum = 0.0f;
  for (int start = 0; start < side; start += kTileSide) {
    const int column_of_a = start + threadIdx.x;
    const int row_of_b = start + threadIdx.y;
    tile_a[threadIdx.y][threadIdx.x] = row < side && column_of_a < side ? a[row * side + column_of_a] : 0.0f;
    tile_b[threadIdx.y][threadIdx.x] = row_of_b < side && column < side ? b[row_of_b * side + column] : 0.0f;
    __syncthreads();
    for (int k = 0; k < kTileSide; ++k) sum += tile_a[threadIdx.y][k] * tile_b[k][threadIdx.x];
    __syncthreads();
  }
  if (row < side && column < side) c[row * side + column] = sum;
}

cudaError_t matmul(int side, const float *a, const float *b, float *c) {
  const int tiles = (side + kTileSide - 1) / kTileSide;
  matmul_kernel<<<dim3(tiles, tiles), dim3(kTileSide, kTileSide)>>>(side, a, b, c);
  return cudaGetLastError();
}

}  // namespace KERNEL_ARCH
