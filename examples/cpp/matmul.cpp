// c = a * b for square row-major matrices, tile by tile to stay in the processor's cache.
#include <algorithm>

#include "tile.h"

void matmul(int side, const float *a, const float *b, float *c) {
  std::fill(c, c + side * side, 0.0f);
  for (int rows = 0; rows < side; rows += kTileSide) {
    for (int inner = 0; inner < side; inner += kTileSide) {
      for (int row = rows; row < std::min(rows + kTileSide, side); ++row) {
        for (int k = inner; k < std::min(inner + kTileSide, side); ++k) {
          for (int column = 0; column < side; ++column) c[row * side + column] += a[row * side + k] * b[k * side + column];
        }
      }
    }
  }
}
