// What reduce.cu and matmul.cu share: the shape of a tile and the sum over a warp.
#pragma once

// Threads along one side of a square tile; a tile's block has kTileSide * kTileSide threads.
constexpr int kTileSide = 16;
constexpr int kTileThreads = kTileSide * kTileSide;
constexpr int kWarpThreads = 32;

// The sum of `value` over the 32 threads of a warp; the first thread gets it. All 32 must take part.
__device__ inline float warp_sum(float value) {
  for (int distance = kWarpThreads / 2; distance > 0; distance /= 2) {
    value += __shfl_down_sync(0xffffffffu, value, distance);
  }
  return value;
}
