// Parsing command lines and their values.

#include "stress/common/args.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <sstream>

namespace stress {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t ns;
};
// Largest first.
constexpr Unit kUnits[] = {
    {"m", 60'000'000'000}, {"s", 1'000'000'000}, {"ms", 1'000'000}, {"us", 1'000}, {"ns", 1}};

std::string Quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

}  // namespace

void Args::Option(std::string name, std::string value_name, std::string help,
                  std::function<void(std::string_view)> set) {
  entries_.push_back(
      {std::move(name), std::move(value_name), std::move(help), std::move(set), true, false});
}

void Args::Flag(std::string name, std::string help, std::function<void()> set) {
  entries_.push_back({std::move(name), "", std::move(help),
                      [set = std::move(set)](std::string_view) { set(); }, false, false});
}

void Args::Hidden(std::string name, std::function<void(std::string_view)> set) {
  entries_.push_back({std::move(name), "", "", std::move(set), true, true});
}

const Args::Entry* Args::Find(std::string_view name) const {
  const auto found = std::ranges::find(entries_, name, &Entry::name);
  return found == entries_.end() ? nullptr : &*found;
}

void Args::Die(std::string_view message) const {
  std::cerr << program_ << ": " << message << '\n';
  std::exit(kExitUsage);
}

void Args::ParseOrExit(int argc, char** argv) const {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help" || argument == "-h") {
      std::cout << Help();
      std::exit(kExitGood);
    }
    if (set_operand_ && !argument.starts_with("-")) {
      try {
        set_operand_(argument);
      } catch (const BadArgument& bad) {
        Die(bad.what());
      }
      continue;
    }
    const std::size_t equals = argument.find('=');
    const bool has_value = equals != std::string_view::npos;
    const std::string_view dashed = argument.substr(0, equals);
    const Entry* entry = dashed.starts_with("--") ? Find(dashed.substr(2)) : nullptr;
    if (entry == nullptr) {
      Die("no such argument: " + Quoted(argument) + " (--help lists what there is)");
    }
    std::string_view value;
    if (entry->takes_value) {
      if (has_value) {
        value = argument.substr(equals + 1);
      } else if (i + 1 < argc) {
        value = argv[++i];
      } else {
        Die(std::string(dashed) + " needs a value: " + std::string(dashed) + " " +
            entry->value_name);
      }
    } else if (has_value) {
      Die(std::string(dashed) + " takes no value");
    }
    try {
      entry->set(value);
    } catch (const BadArgument& bad) {
      Die(std::string(dashed) + ": " + bad.what());
    }
  }
}

std::string Args::Help() const {
  std::ostringstream out;
  out << about_ << "\n\nUsage: " << program_ << " [options]" << (operands_usage_.empty() ? "" : " ")
      << operands_usage_ << "\n\n";
  constexpr std::size_t kColumn = 22;
  for (const Entry& entry : entries_) {
    if (entry.hidden) continue;
    std::string left = "  --" + entry.name + (entry.takes_value ? " " + entry.value_name : "");
    left.resize(std::max(left.size() + 2, kColumn), ' ');
    out << left;
    // Further lines of the text are indented to its column.
    for (const char c : entry.help) {
      out << c;
      if (c == '\n') out << std::string(kColumn, ' ');
    }
    out << '\n';
  }
  out << "  --help              this text\n";
  if (!epilogue_.empty()) out << '\n' << epilogue_;
  return out.str();
}

std::chrono::nanoseconds ParseDuration(std::string_view text, std::chrono::nanoseconds least,
                                       std::chrono::nanoseconds most) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
  const auto* found = std::ranges::find(kUnits, unit, &Unit::name);
  if (error != std::errc() || found == std::end(kUnits) || !std::isfinite(number)) {
    throw BadArgument(Quoted(text) + " is not a duration; write for example 500us, 10ms or 2.5s");
  }
  const double ns = number * static_cast<double>(found->ns);
  if (ns < static_cast<double>(least.count()) || ns > static_cast<double>(most.count())) {
    throw BadArgument(Quoted(text) + " is out of range; " + ToString(least) + " to " +
                      ToString(most) + " are allowed");
  }
  return std::chrono::nanoseconds(std::llround(ns));
}

std::int64_t ParseInteger(std::string_view text, std::int64_t least, std::int64_t most) {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (rest != end || error == std::errc::invalid_argument) {
    throw BadArgument(Quoted(text) + " is not a whole number; " + std::to_string(least) + " to " +
                      std::to_string(most) + " are allowed");
  }
  if (error != std::errc() || value < least || value > most) {
    throw BadArgument(Quoted(text) + " is out of range; " + std::to_string(least) + " to " +
                      std::to_string(most) + " are allowed");
  }
  return value;
}

std::string ToString(std::chrono::nanoseconds duration) {
  for (const Unit& unit : kUnits) {
    if (duration.count() != 0 && duration.count() % unit.ns == 0) {
      return std::to_string(duration.count() / unit.ns) + std::string(unit.name);
    }
  }
  return "0s";
}

}  // namespace stress
