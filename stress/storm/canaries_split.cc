// Canaries for what is not a register, and the list of all kinds; with prologue checks, so that
// they are stopped in both ways.

#include <urge/urge.h>

#include <cerrno>
#include <exception>
#include <map>
#include <mutex>
#include <random>
#include <stdexcept>
#include <vector>

#include "stress/storm/canary.h"

namespace storm {
namespace {

// A while of call-free work.
[[gnu::noinline]] void Spin(std::uint64_t n) {
  for (std::uint64_t i = 0; i < n; ++i) asm volatile("");
}

class SeededCanary : public Canary {
 protected:
  SeededCanary(const Shared& shared, std::uint64_t seed)
      : random_(seed), most_steps_(shared.most_steps) {}
  std::uint64_t Below(std::uint64_t n) { return random_() % n; }
  // Works for up to one part in `share` of the time that is usual between two looks.
  void SpinAWhile(std::uint64_t share) { Spin(Below(most_steps_ / share)); }

  std::mt19937_64 random_;

 private:
  const std::uint64_t most_steps_;
};

class StackCanary final : public SeededCanary {
 public:
  StackCanary(Shared& shared, std::uint64_t seed) : SeededCanary(shared, seed) {}
  std::optional<std::string> Round() override {
    if (!StackHolds(random_(), 20)) return "a frame or an argument has changed";
    return std::nullopt;
  }
};

// errno's address is thread-bound: it is asked for anew on each access, which nobody interrupts.
// What is shown is that the value follows the goroutine.
[[gnu::noinline]] int GetErrno() {
  const urge::no_preempt hold;
  return errno;
}
[[gnu::noinline]] void SetErrno(int value) {
  const urge::no_preempt hold;
  errno = value;
}

class ErrnoCanary final : public SeededCanary {
 public:
  ErrnoCanary(Shared& shared, std::uint64_t seed) : SeededCanary(shared, seed) {}
  std::optional<std::string> Round() override {
    const int value = static_cast<int>(1 + Below(100'000));
    SetErrno(value);
    SpinAWhile(1);
    if (Below(8) == 0) urge::yield();
    const int now = GetErrno();
    if (now != value) return std::to_string(now) + " instead of " + std::to_string(value);
    return std::nullopt;
  }
};

class ExceptionCanary final : public SeededCanary {
 public:
  ExceptionCanary(Shared& shared, std::uint64_t seed) : SeededCanary(shared, seed) {}
  std::optional<std::string> Round() override {
    const std::uint64_t outer = random_(), inner = random_();
    try {
      try {
        Thrower(outer, 3);
      } catch (const std::uint64_t& caught) {
        SpinAWhile(4);
        if (caught != outer) return "caught another exception";
        try {
          Thrower(inner, 2);
        } catch (std::uint64_t nested) {
          SpinAWhile(4);
          if (nested != inner) return "caught another nested exception";
        }
        if (Below(4) == 0) urge::yield();
        throw;
      }
    } catch (std::uint64_t caught) {
      if (caught != outer) return "rethrew another exception";
      if (unwound_ != 5) return std::to_string(unwound_) + " destructors ran instead of 5";
      unwound_ = 0;
      if (std::uncaught_exceptions() != 0) return "exceptions in flight";
      return std::nullopt;
    }
    return "the exception is gone";
  }

 private:
  struct CountsUnwinding {
    int& count;
    ~CountsUnwinding() {
      if (std::uncaught_exceptions() == 1) ++count;
    }
  };
  [[gnu::noinline]] void Thrower(std::uint64_t value, int depth) {
    const CountsUnwinding counts{unwound_};
    Spin(100);
    if (depth == 1) throw value;
    Thrower(value, depth - 1);
  }
  int unwound_ = 0;
};

class MutexCanary final : public SeededCanary {
 public:
  MutexCanary(Shared& shared, std::uint64_t seed) : SeededCanary(shared, seed), shared_(shared) {}
  std::optional<std::string> Round() override {
    const std::lock_guard lock(shared_.mutex);
    const std::uint64_t count = shared_.under_mutex;
    if (shared_.under_mutex_too != count) return "two were inside at once";
    shared_.under_mutex = count + 1;
    SpinAWhile(6);
    if (shared_.under_mutex != count + 1) return "another one wrote";
    shared_.under_mutex_too = count + 1;
    return std::nullopt;
  }

 private:
  Shared& shared_;
};

class HeapCanary final : public SeededCanary {
 public:
  HeapCanary(Shared& shared, std::uint64_t seed) : SeededCanary(shared, seed) {}
  std::optional<std::string> Round() override {
    for (int i = 0; i < 50; ++i) {
      const std::uint64_t key = Below(200);
      auto [it, inserted] = map_.try_emplace(key);
      if (inserted) {
        it->second.assign(1 + Below(500), static_cast<char>(key));
        continue;
      }
      for (const char c : it->second) {
        if (c != static_cast<char>(key)) return "a block of memory has changed";
      }
      map_.erase(it);
    }
    return std::nullopt;
  }

 private:
  std::map<std::uint64_t, std::vector<char>> map_;
};

// Goroutines that come, talk and go.
class ChannelCanary final : public SeededCanary {
 public:
  ChannelCanary(Shared& shared, std::uint64_t seed) : SeededCanary(shared, seed) {}
  std::optional<std::string> Round() override {
    const std::uint64_t n = 1 + Below(20);
    urge::chan<std::uint64_t> c(static_cast<int>(Below(4)));
    urge::go([c, n] {
      for (std::uint64_t i = 0; i < n; ++i) {
        Spin(300);
        c.send(i);
      }
      c.close();
    });
    std::uint64_t next = 0;
    for (const std::uint64_t got : c) {
      if (got != next++) return "an element is out of order";
    }
    if (next != n) return "elements are missing";
    return std::nullopt;
  }
};

template <class C>
std::unique_ptr<Canary> Make(Shared& shared, std::uint64_t seed) {
  return std::make_unique<C>(shared, seed);
}

bool Always() { return true; }

constexpr CanaryKind kKinds[] = {
    {"general", Always, MakeGeneralCanary},
    {"red-zone", Always, MakeRedZoneCanary},
    {"x87", Always, MakeX87Canary},
    {"sse", Always, MakeSseCanary},
    {"avx", [] { return __builtin_cpu_supports("avx") != 0; }, MakeAvxCanary},
    {"avx512", [] { return __builtin_cpu_supports("avx512bw") != 0; }, MakeAvx512Canary},
    {"stack", Always, Make<StackCanary>},
    {"errno", Always, Make<ErrnoCanary>},
    {"exception", Always, Make<ExceptionCanary>},
    {"mutex", Always, Make<MutexCanary>},
    {"heap", Always, Make<HeapCanary>},
    {"channel", Always, Make<ChannelCanary>},
};

}  // namespace

std::span<const CanaryKind> CanaryKinds() { return kKinds; }

}  // namespace storm
