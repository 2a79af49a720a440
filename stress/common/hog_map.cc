// A malloc-heavy std::map: most of the time is spent in an allocator that must not be preempted.

#include <map>

#include "stress/common/hog.h"

namespace stress {
namespace {

constexpr int kTouchesPerResult = 200;
constexpr int kOperationsPerTouch = 50;
constexpr std::uint64_t kKeys = 1024;

class Shuffle {
 public:
  // One insertion, replacement or erasure of a key chosen at random.
  void Operate() {
    random_ = random_ * 6364136223846793005 + 1442695040888963407;
    const std::uint64_t key = (random_ >> 33) % kKeys;
    const auto [at, added] = map_.try_emplace(key);
    if (added) {
      at->second.assign(24 + key % 200, static_cast<char>('a' + random_ % 26));
    } else {
      map_.erase(at);
    }
  }
  std::uint64_t Digest() const {
    std::uint64_t digest = map_.size();
    for (const auto& [key, text] : map_) {
      digest = digest * 31 + key;
      digest = digest * 31 + text.size();
      digest = digest * 31 + static_cast<unsigned char>(text.back());
    }
    return digest;
  }

 private:
  std::uint64_t random_ = 42;
  std::map<std::uint64_t, std::string> map_;
};

class MapHog : public HogKind {
 public:
  MapHog() {
    Shuffle shuffle;
    for (int i = 0; i < kTouchesPerResult * kOperationsPerTouch; ++i) shuffle.Operate();
    expected_ = shuffle.Digest();
  }
  void Work(HogRun& run) const override {
    for (;;) {
      Shuffle shuffle;
      for (int touch = 0; touch < kTouchesPerResult; ++touch) {
        for (int i = 0; i < kOperationsPerTouch; ++i) shuffle.Operate();
        if (!run.Continue()) return;
      }
      if (!run.Verify(shuffle.Digest() == expected_, "map: contents differ")) return;
    }
  }

 private:
  std::uint64_t expected_;
};

}  // namespace

std::unique_ptr<HogKind> MakeMapHog(std::string_view) { return std::make_unique<MapHog>(); }

}  // namespace stress
