// What reduce.cpp and matmul.cpp share: how much of an array is worked on at once.
#pragma once

constexpr int kTileSide = 16;
constexpr int kTileCount = kTileSide * kTileSide;
