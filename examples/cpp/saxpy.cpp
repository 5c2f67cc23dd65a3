// y = a * x + y. Stands alone: an edit of tile.h does not recompile this file.
void saxpy(int count, float a, const float *x, float *y) {
  for (int i = 0; i < count; ++i) y[i] = a * x[i] + y[i];
}
