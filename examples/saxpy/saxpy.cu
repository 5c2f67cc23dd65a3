// y = a * x + y, one thread an element: the smallest kernel worth sending to a farm.
__global__ void saxpy(int count, float a, const float *x, float *y) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) y[i] = a * x[i] + y[i];
}
