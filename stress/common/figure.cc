// Printing figures; running cases.

#include "stress/common/figure.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <exception>
#include <iostream>
#include <vector>

#include "stress/common/args.h"
#include "stress/common/child.h"

namespace stress {

void Figures::Add(std::string_view name, double value, std::string_view unit) {
  char number[32];
  if (std::isfinite(value)) {
    std::snprintf(number, sizeof number, "%.4g", value);
  } else {
    std::snprintf(number, sizeof number, "never");
  }
  text_ += std::string(name) + '\t' + number + '\t' + std::string(unit) + '\n';
}

double MedianOfRounds(const std::function<double()>& round) {
  std::array<double, 5> times;
  for (double& time : times) time = round();
  std::ranges::sort(times);
  return times[times.size() / 2];
}

int RunCases(int argc, char** argv, std::string_view about, std::span<const BenchCase> cases) {
  std::string program = argv[0];
  program.erase(0, program.rfind('/') + 1);
  std::vector<const BenchCase*> chosen;
  int result_fd = -1;
  std::string names;
  for (const BenchCase& c : cases) {
    names += (names.empty() ? "" : ", ") + std::string(c.name);
  }
  const auto choose = [&](std::string_view name) {
    const auto found = std::ranges::find(cases, name, &BenchCase::name);
    if (found == cases.end()) {
      throw BadArgument("there is no case '" + std::string(name) + "'; the cases are " + names);
    }
    chosen.push_back(&*found);
  };
  Args args(program, std::string(about));
  std::string cases_help = "run only this case (may be repeated):";
  for (const BenchCase& c : cases) {
    std::string name(c.name);
    name.resize(std::max<std::size_t>(name.size() + 1, 16), ' ');
    cases_help += "\n  " + name + std::string(c.summary);
  }
  args.Option("case", "NAME", cases_help, choose);
  args.Hidden("result-fd",
              [&](auto v) { result_fd = static_cast<int>(ParseInteger(v, 0, 1 << 20)); });
  args.ParseOrExit(argc, argv);
  if (chosen.empty()) {
    for (const BenchCase& c : cases) chosen.push_back(&c);
  }

  if (result_fd >= 0) {
    Figures figures;
    chosen.front()->run(figures);
    WriteResult(result_fd, figures.text());
    return kExitGood;
  }
  int status = kExitGood;
  for (const BenchCase* c : chosen) {
    const ChildResult child =
        RunSelf({"--case=" + std::string(c->name)}, std::chrono::seconds(120));
    std::cout << child.output << std::flush;
    if (!child.failure.empty()) {
      std::cerr << program << ": the case '" << c->name << "' " << child.failure << '\n';
      status = kExitBad;
    }
  }
  return status;
}

}  // namespace stress
