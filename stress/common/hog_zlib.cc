// The system's shared zlib: unmodified code that knows nothing of goroutines.
//
// The input is compressed in small bites and decompressed again. The compressed bytes must equal
// those of a run before, the decompressed ones the input.
//
// link: -lz

#include <zlib.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "stress/common/hog.h"

namespace stress {
namespace {

constexpr std::size_t kCompressBite = 512, kDecompressBite = 4096;

enum class Outcome { kDone, kStopped, kError };

Bytef* ZlibIn(const void* p) { return static_cast<Bytef*>(const_cast<void*>(p)); }

// Feeds `input` to the stream in bites; `process` is deflate or inflate. `output` has room for all.
template <class Process>
Outcome Pump(z_stream& stream, std::string_view input, std::size_t bite, HogRun* run,
             Process process) {
  for (std::size_t at = 0;;) {
    const std::size_t n = std::min(bite, input.size() - at);
    stream.next_in = ZlibIn(input.data() + at);
    stream.avail_in = static_cast<uInt>(n);
    at += n;
    const int status = process(&stream, at == input.size() ? Z_FINISH : Z_NO_FLUSH);
    if (status == Z_STREAM_END) return Outcome::kDone;
    if ((status != Z_OK && status != Z_BUF_ERROR) || at == input.size()) return Outcome::kError;
    if (run != nullptr && !run->Continue()) return Outcome::kStopped;
  }
}

// One direction, with its state and its output buffer, used again for each pass.
class Compressor {
 public:
  explicit Compressor(std::size_t input_bytes) {
    if (deflateInit(&stream_, 6) != Z_OK) throw std::bad_alloc();
    output_.resize(deflateBound(&stream_, input_bytes));
  }
  ~Compressor() { deflateEnd(&stream_); }
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  Outcome Run(std::string_view input, HogRun* run) {
    deflateReset(&stream_);
    stream_.next_out = reinterpret_cast<Bytef*>(output_.data());
    stream_.avail_out = static_cast<uInt>(output_.size());
    return Pump(stream_, input, kCompressBite, run, deflate);
  }
  std::string_view output() const { return {output_.data(), stream_.total_out}; }

 private:
  z_stream stream_{};
  std::vector<char> output_;
};

class Decompressor {
 public:
  explicit Decompressor(std::size_t output_bytes) : output_(output_bytes + 1) {
    if (inflateInit(&stream_) != Z_OK) throw std::bad_alloc();
  }
  ~Decompressor() { inflateEnd(&stream_); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  Outcome Run(std::string_view input, HogRun* run) {
    inflateReset(&stream_);
    stream_.next_out = reinterpret_cast<Bytef*>(output_.data());
    stream_.avail_out = static_cast<uInt>(output_.size());
    return Pump(stream_, input, kDecompressBite, run,
                [](z_stream* stream, int) { return inflate(stream, Z_NO_FLUSH); });
  }
  std::string_view output() const { return {output_.data(), stream_.total_out}; }

 private:
  z_stream stream_{};
  std::vector<char> output_;
};

class ZlibHog : public HogKind {
 public:
  explicit ZlibHog(std::string_view input) : input_(input) {
    Compressor compressor(input.size());
    if (compressor.Run(input, nullptr) != Outcome::kDone) {
      throw std::runtime_error("zlib: cannot compress the input");
    }
    expected_ = compressor.output();
  }
  std::string Detail() const override { return std::string("zlib ") + zlibVersion(); }

  void Work(HogRun& run) const override {
    Compressor compressor(input_.size());
    Decompressor decompressor(input_.size());
    for (;;) {
      Outcome outcome = compressor.Run(input_, &run);
      if (outcome == Outcome::kStopped) return;
      if (!run.Verify(outcome == Outcome::kDone && compressor.output() == expected_,
                      "zlib: compressed bytes differ")) {
        return;
      }
      outcome = decompressor.Run(expected_, &run);
      if (outcome == Outcome::kStopped) return;
      if (!run.Verify(outcome == Outcome::kDone && decompressor.output() == input_,
                      "zlib: decompressed bytes differ")) {
        return;
      }
      if (!run.Continue()) return;
    }
  }

 private:
  std::string_view input_;
  std::string expected_;
};

}  // namespace

std::unique_ptr<HogKind> MakeZlibHog(std::string_view input) {
  return std::make_unique<ZlibHog>(input);
}

}  // namespace stress
