// The sum of an array, a tile at a time, so that the error of the sum stays small.
#include <algorithm>

#include "tile.h"

float reduce(int count, const float *values) {
  float total = 0.0f;
  for (int start = 0; start < count; start += kTileCount) {
    float sum = 0.0f;
    for (int i = start; i < std::min(start + kTileCount, count); ++i) sum += values[i];
    total += sum;
  }
  return total;
}
