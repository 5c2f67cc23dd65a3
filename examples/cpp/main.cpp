// Runs the three functions and checks each against a plain sum in double precision.
// Exit code: 0 all agree, 1 a result differs.
#include <cmath>
#include <cstdio>
#include <vector>

void saxpy(int count, float a, const float *x, float *y);
float reduce(int count, const float *values);
void matmul(int side, const float *a, const float *b, float *c);

namespace {

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
  std::printf("%s agrees\n", what);
  return true;
}

bool check_saxpy() {
  const int count = 100003;
  const std::vector<float> x = numbers(count, 1), y = numbers(count, 2);
  std::vector<float> result = y;
  saxpy(count, 2.5f, x.data(), result.data());
  std::vector<double> expected(count);
  for (int i = 0; i < count; ++i) expected[i] = 2.5 * x[i] + y[i];
  return agree("saxpy", result, expected);
}

bool check_reduce() {
  const std::vector<float> values = numbers(100003, 3);
  double expected = 0;
  for (float value : values) expected += value;
  return agree("reduce", {reduce(values.size(), values.data())}, {expected});
}

bool check_matmul() {
  const int side = 67;
  const std::vector<float> a = numbers(side * side, 4), b = numbers(side * side, 5);
  std::vector<float> c(side * side);
  matmul(side, a.data(), b.data(), c.data());
  std::vector<double> expected(side * side);
  for (int row = 0; row < side; ++row) {
    for (int column = 0; column < side; ++column) {
      for (int k = 0; k < side; ++k) expected[row * side + column] += double(a[row * side + k]) * b[k * side + column];
    }
  }
  return agree("matmul", c, expected);
}

}  // namespace

int main() {
  bool all = check_saxpy();
  all = check_reduce() && all;
  all = check_matmul() && all;
  return all ? 0 : 1;
}
