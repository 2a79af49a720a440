// Which hogs and how many of each, as a command line says it: "loop:4,zlib".

#ifndef URGE_STRESS_COMMON_HOG_ARGS_H_
#define URGE_STRESS_COMMON_HOG_ARGS_H_

#include <string>
#include <string_view>
#include <vector>

namespace stress {

struct HogCount {
  std::string kind;
  int count;
};

// kind[:n],kind[:n],… in the order of HogKinds(), so that reports compare. Throws BadArgument.
std::vector<HogCount> ParseHogs(std::string_view text);
// What ParseHogs reads.
std::string HogsText(const std::vector<HogCount>& hogs);
// The help text of the option; `usual` says what is the default.
std::string HogsHelp(std::string_view usual);

std::vector<HogCount> OneOfEachHog();
int TotalHogs(const std::vector<HogCount>& hogs);

}  // namespace stress

#endif  // URGE_STRESS_COMMON_HOG_ARGS_H_
