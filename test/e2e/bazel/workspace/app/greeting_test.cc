// Reads its runfiles: a source file and the output of a genrule.
#include <fstream>
#include <iostream>
#include <string>

#include "lib/greeting.h"

static std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) std::cerr << "cannot read " << path << "\n";
  return line;
}

int main() {
  if (greeting("runfiles") != first_line("app/expected.txt")) return 1;
  if (first_line("gen/table.txt") != "1 1") return 2;
  std::cout << "runfiles ok\n";
}
