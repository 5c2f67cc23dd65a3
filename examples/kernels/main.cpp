// Runs the three kernels on the first GPU and checks each against the same sum done on the CPU.
// Exit code: 0 all agree, 1 a result differs, 2 no GPU that one of the linked architectures fits.
#include <cuda_runtime.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

// Every kernel is compiled once per architecture, in a namespace named for it; all of them are linked in.
#define DECLARE_KERNELS(arch)                                               \
  namespace arch {                                                          \
  cudaError_t saxpy(int count, float a, const float *x, float *y);          \
  cudaError_t reduce(int count, const float *values, float *total);         \
  cudaError_t matmul(int side, const float *a, const float *b, float *c);   \
  }
DECLARE_KERNELS(sm_80)
DECLARE_KERNELS(sm_86)
DECLARE_KERNELS(sm_90)

namespace {

struct Kernels {
  const char *name;
  int major;
  int minor;
  cudaError_t (*saxpy)(int, float, const float *, float *);
  cudaError_t (*reduce)(int, const float *, float *);
  cudaError_t (*matmul)(int, const float *, const float *, float *);
};

// Newest first within a major version: the first whose minor version the device reaches is the best fit.
const Kernels kAll[] = {
    {"sm_90", 9, 0, sm_90::saxpy, sm_90::reduce, sm_90::matmul},
    {"sm_86", 8, 6, sm_86::saxpy, sm_86::reduce, sm_86::matmul},
    {"sm_80", 8, 0, sm_80::saxpy, sm_80::reduce, sm_80::matmul},
};

const Kernels *fitting(int major, int minor) {
  for (const Kernels &kernels : kAll) {
    if (kernels.major == major && kernels.minor <= minor) return &kernels;
  }
  return nullptr;
}

void must(cudaError_t result, const char *what) {
  if (result == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(result));
  std::exit(1);
}

// A copy of `host` on the device; lives as long as the program.
float *on_device(const std::vector<float> &host) {
  float *device = nullptr;
  must(cudaMalloc(&device, host.size() * sizeof(float)), "cudaMalloc");
  must(cudaMemcpy(device, host.data(), host.size() * sizeof(float), cudaMemcpyHostToDevice), "copy to the device");
  return device;
}

std::vector<float> from_device(const float *device, size_t count) {
  std::vector<float> host(count);
  must(cudaMemcpy(host.data(), device, count * sizeof(float), cudaMemcpyDeviceToHost), "copy from the device");
  return host;
}

std::vector<float> numbers(size_t count, int seed) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>((i * 7 + seed) % 13) / 13.0f;
  return values;
}

bool agree(const char *what, const std::vector<float> &seen, const std::vector<double> &expected) {
  for (size_t i = 0; i < seen.size(); ++i) {
    if (std::fabs(seen[i] - expected[i]) > 1e-4 * (1.0 + std::fabs(expected[i]))) {
      std::printf("%s differs at %zu: %g, expected %g\n", what, i, seen[i], expected[i]);
      return false;
    }
  }
  std::printf("%s agrees with the CPU\n", what);
  return true;
}

bool check_saxpy(const Kernels &kernels) {
  const int count = 100003;
  const std::vector<float> x = numbers(count, 1), y = numbers(count, 2);
  float *result = on_device(y);
  must(kernels.saxpy(count, 2.5f, on_device(x), result), "saxpy");
  std::vector<double> expected(count);
  for (int i = 0; i < count; ++i) expected[i] = 2.5 * x[i] + y[i];
  return agree("saxpy", from_device(result, count), expected);
}

bool check_reduce(const Kernels &kernels) {
  const int count = 100003;
  const std::vector<float> values = numbers(count, 3);
  float *total = on_device({0.0f});
  must(kernels.reduce(count, on_device(values), total), "reduce");
  double expected = 0;
  for (float value : values) expected += value;
  return agree("reduce", from_device(total, 1), {expected});
}

bool check_matmul(const Kernels &kernels) {
  const int side = 67;
  const std::vector<float> a = numbers(side * side, 4), b = numbers(side * side, 5);
  float *c = on_device(std::vector<float>(side * side));
  must(kernels.matmul(side, on_device(a), on_device(b), c), "matmul");
  std::vector<double> expected(side * side);
  for (int row = 0; row < side; ++row) {
    for (int column = 0; column < side; ++column) {
      for (int k = 0; k < side; ++k) expected[row * side + column] += double(a[row * side + k]) * b[k * side + column];
    }
  }
  return agree("matmul", from_device(c, side * side), expected);
}

}  // namespace

int main() {
  cudaDeviceProp device;
  const cudaError_t found = cudaGetDeviceProperties(&device, 0);
  if (found != cudaSuccess) {
    std::printf("no GPU to run on (%s)\n", cudaGetErrorString(found));
    return 2;
  }
  const Kernels *kernels = fitting(device.major, device.minor);
  if (kernels == nullptr) {
    std::printf("%s is compute capability %d.%d; built for sm_80, sm_86 and sm_90\n", device.name, device.major,
                device.minor);
    return 2;
  }
  std::printf("%s, kernels of %s\n", device.name, kernels->name);
  bool all = check_saxpy(*kernels);
  all = check_reduce(*kernels) && all;
  all = check_matmul(*kernels) && all;
  return all ? 0 : 1;
}
