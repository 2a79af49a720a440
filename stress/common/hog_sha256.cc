// SHA-256 of the input, verified against a digest from before the run, and against published ones.

#include <stdexcept>

#include "stress/common/hog.h"
#include "stress/common/sha256.h"

namespace stress {
namespace {

constexpr std::size_t kBite = 4096;

// FIPS 180-4, examples of SHA-256.
constexpr struct {
  std::string_view message, hex;
} kKnown[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

class Sha256Hog : public HogKind {
 public:
  explicit Sha256Hog(std::string_view input) : input_(input), expected_(Sha256::Of(input)) {
    for (const auto& known : kKnown) {
      if (Sha256::Hex(Sha256::Of(known.message)) != known.hex) {
        throw std::runtime_error("sha256: a published test vector fails");
      }
    }
  }
  std::string Detail() const override { return Sha256::Hex(expected_).substr(0, 16) + "…"; }
  void Work(HogRun& run) const override {
    for (;;) {
      Sha256 hash;
      for (std::size_t at = 0; at < input_.size(); at += kBite) {
        hash.Update(input_.substr(at, kBite));
        if (!run.Continue()) return;
      }
      if (!run.Verify(hash.Finish() == expected_, "sha256: digest differs")) return;
    }
  }

 private:
  std::string_view input_;
  Sha256::Digest expected_;
};

}  // namespace

std::unique_ptr<HogKind> MakeSha256Hog(std::string_view input) {
  return std::make_unique<Sha256Hog>(input);
}

}  // namespace stress
