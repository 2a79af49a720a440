// Command lines: options with values, clear errors, generated help.
//
// Abseil's flags were not used: they leave with status 1, and say neither which argument was wrong
// in one line nor what would have been right.

#ifndef URGE_STRESS_COMMON_ARGS_H_
#define URGE_STRESS_COMMON_ARGS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace stress {

// What is wrong with a value and what would be right; without the option's name.
class BadArgument : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Exit statuses of the stress programs.
inline constexpr int kExitGood = 0, kExitBad = 1, kExitUsage = 2;

class Args {
 public:
  // `about`: what the program does; opens the help text. `program`: opens every error line.
  Args(std::string program, std::string about)
      : program_(std::move(program)), about_(std::move(about)) {}

  // --name VALUE or --name=VALUE. `set` throws BadArgument.
  void Option(std::string name, std::string value_name, std::string help,
              std::function<void(std::string_view)> set);
  // --name
  void Flag(std::string name, std::string help, std::function<void()> set);
  // Arguments without dashes; without this they are errors. `usage` shows them in the help.
  void Operands(std::string usage, std::function<void(std::string_view)> set) {
    operands_usage_ = std::move(usage);
    set_operand_ = std::move(set);
  }
  // An option that the help doesn't show.
  void Hidden(std::string name, std::function<void(std::string_view)> set);
  // Text below the options.
  void Epilogue(std::string text) { epilogue_ = std::move(text); }

  // Applies all arguments. Leaves the process with status 2 after one line on standard error if one
  // is wrong, with 0 after the help for --help.
  void ParseOrExit(int argc, char** argv) const;

  // Ends the process as a wrong argument does.
  [[noreturn]] void Die(std::string_view message) const;

  std::string Help() const;

 private:
  struct Entry {
    std::string name, value_name, help;
    std::function<void(std::string_view)> set;
    bool takes_value, hidden;
  };
  const Entry* Find(std::string_view name) const;

  std::string program_, about_, epilogue_, operands_usage_;
  std::function<void(std::string_view)> set_operand_;
  std::vector<Entry> entries_;
};

// "250us", "10ms", "2.5s", "1m". Throws BadArgument unless least <= value <= most.
std::chrono::nanoseconds ParseDuration(std::string_view text, std::chrono::nanoseconds least,
                                       std::chrono::nanoseconds most);
// A decimal integer. Throws BadArgument unless least <= value <= most.
std::int64_t ParseInteger(std::string_view text, std::int64_t least, std::int64_t most);

// In the largest unit that divides it: "10ms", "1500us".
std::string ToString(std::chrono::nanoseconds duration);

}  // namespace stress

#endif  // URGE_STRESS_COMMON_ARGS_H_
