// std::regex over the input: template code in the program's own text, with small allocations, deep
// recursion and locale calls in between.
//
// The input is searched window by window, since libstdc++'s matcher recurses once or more for each
// character of a match.

#include <regex>

#include "stress/common/hog.h"

namespace stress {
namespace {

constexpr std::size_t kWindow = 96;

// Names with underscores, numbers with a unit or fraction, doubled letters.
constexpr char kPattern[] = "[A-Za-z]+_[a-z]+|[0-9]+[.%][0-9]|([a-z])\\1[a-z]*";

std::uint64_t CountMatches(const std::regex& regex, std::string_view window) {
  std::uint64_t matches = 0;
  using Iterator = std::regex_iterator<std::string_view::const_iterator>;
  for (Iterator it(window.begin(), window.end(), regex), end; it != end; ++it) ++matches;
  return matches;
}

class RegexHog : public HogKind {
 public:
  explicit RegexHog(std::string_view input) : input_(input), regex_(kPattern) {
    for (std::size_t at = 0; at < input_.size(); at += kWindow) {
      expected_ += CountMatches(regex_, input_.substr(at, kWindow));
    }
  }
  std::string Detail() const override { return std::to_string(expected_) + " matches"; }
  void Work(HogRun& run) const override {
    for (;;) {
      std::uint64_t matches = 0;
      for (std::size_t at = 0; at < input_.size(); at += kWindow) {
        matches += CountMatches(regex_, input_.substr(at, kWindow));
        if (!run.Continue()) return;
      }
      if (!run.Verify(matches == expected_, "regex: number of matches differs")) return;
    }
  }

 private:
  std::string_view input_;
  std::regex regex_;
  std::uint64_t expected_ = 0;
};

}  // namespace

std::unique_ptr<HogKind> MakeRegexHog(std::string_view input) {
  return std::make_unique<RegexHog>(input);
}

}  // namespace stress
