// Canaries: goroutines that notice when something of theirs has been lost over a preemption.
//
// A canary's Round() does work that preemption interrupts, and returns what was wrong, or nothing.

#ifndef URGE_STRESS_STORM_CANARY_H_
#define URGE_STRESS_STORM_CANARY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <urge/sync.h>

namespace storm {

// What the canaries of one storm share.
struct Shared {
  urge::mutex mutex;
  std::uint64_t under_mutex = 0;  // two halves that must agree whenever the lock is free
  std::uint64_t under_mutex_too = 0;
  // Work between two looks is of so many steps at most. Where every prologue stops, few do.
  std::uint64_t most_steps = 20'000;
};

class Canary {
 public:
  virtual ~Canary() = default;
  virtual std::optional<std::string> Round() = 0;
};

struct CanaryKind {
  std::string_view name;
  bool (*available)();
  std::unique_ptr<Canary> (*make)(Shared& shared, std::uint64_t seed);
};

// In order of their names' first use in the report.
std::span<const CanaryKind> CanaryKinds();

// register_canaries.cc
std::unique_ptr<Canary> MakeGeneralCanary(Shared&, std::uint64_t seed);
std::unique_ptr<Canary> MakeRedZoneCanary(Shared&, std::uint64_t seed);
std::unique_ptr<Canary> MakeX87Canary(Shared&, std::uint64_t seed);
std::unique_ptr<Canary> MakeSseCanary(Shared&, std::uint64_t seed);
std::unique_ptr<Canary> MakeAvxCanary(Shared&, std::uint64_t seed);
std::unique_ptr<Canary> MakeAvx512Canary(Shared&, std::uint64_t seed);

// stack_canary_split.cc: with prologue checks.
bool StackHolds(std::uint64_t seed, int depth);

}  // namespace storm

#endif  // URGE_STRESS_STORM_CANARY_H_
