// Reading and writing lists of hogs.

#include "stress/common/hog_args.h"

#include <algorithm>
#include <numeric>

#include "stress/common/args.h"
#include "stress/common/hog.h"

namespace stress {
namespace {

std::string KindNames() {
  std::string names;
  for (const HogKindInfo& kind : HogKinds()) {
    names += (names.empty() ? "" : ", ") + std::string(kind.name);
  }
  return names;
}

HogCount ParseHog(std::string_view item) {
  constexpr int kMost = 1000;
  const std::size_t colon = item.find(':');
  const std::string name(item.substr(0, colon));
  if (FindHogKind(name) == nullptr) {
    throw BadArgument("there is no kind '" + name + "'; the kinds are " + KindNames());
  }
  if (colon == std::string_view::npos) return {name, 1};
  try {
    return {name, static_cast<int>(ParseInteger(item.substr(colon + 1), 1, kMost))};
  } catch (const BadArgument& bad) {
    throw BadArgument("the number of '" + name + "' hogs: " + bad.what());
  }
}

}  // namespace

std::vector<HogCount> ParseHogs(std::string_view text) {
  std::vector<HogCount> asked;
  while (true) {
    const std::size_t comma = text.find(',');
    const HogCount hog = ParseHog(text.substr(0, comma));
    if (std::ranges::find(asked, hog.kind, &HogCount::kind) != asked.end()) {
      throw BadArgument("'" + hog.kind + "' is named twice; once is allowed, as in " + hog.kind +
                        ":2");
    }
    asked.push_back(hog);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  std::vector<HogCount> ordered;
  for (const HogKindInfo& kind : HogKinds()) {
    const auto found = std::ranges::find(asked, kind.name, &HogCount::kind);
    if (found != asked.end()) ordered.push_back(*found);
  }
  return ordered;
}

std::string HogsText(const std::vector<HogCount>& hogs) {
  std::string text;
  for (const HogCount& hog : hogs) {
    text += (text.empty() ? "" : ",") + hog.kind + ":" + std::to_string(hog.count);
  }
  return text;
}

std::string HogsHelp(std::string_view usual) {
  std::string help =
      "how many hogs of which kinds (default: " + std::string(usual) + "); the kinds:";
  for (const HogKindInfo& kind : HogKinds()) {
    std::string name(kind.name);
    name.resize(11, ' ');
    help += "\n  " + name + std::string(kind.summary);
  }
  return help;
}

std::vector<HogCount> OneOfEachHog() {
  std::vector<HogCount> hogs;
  for (const HogKindInfo& kind : HogKinds()) hogs.push_back({std::string(kind.name), 1});
  return hogs;
}

int TotalHogs(const std::vector<HogCount>& hogs) {
  return std::accumulate(hogs.begin(), hogs.end(), 0,
                         [](int sum, const HogCount& hog) { return sum + hog.count; });
}

}  // namespace stress
