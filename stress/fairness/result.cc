// Derived figures, the verdict, and the text form that crosses the pipe: one value a line, in the
// order of the fields.

#include "stress/fairness/result.h"

#include <algorithm>
#include <charconv>
#include <concepts>
#include <limits>
#include <sstream>

namespace fairness {
namespace {

class Writer {
 public:
  void Value(std::string& text) {
    std::ranges::replace(text, '\n', ' ');
    out_ << text << '\n';
  }
  void Value(double& number) {
    out_.precision(std::numeric_limits<double>::max_digits10);
    out_ << number << '\n';
  }
  void Value(std::integral auto& number) { out_ << +number << '\n'; }
  template <class T>
  void List(std::vector<T>& items, auto each) {
    out_ << items.size() << '\n';
    for (T& item : items) each(item);
  }
  std::string Text() const { return out_.str(); }

 private:
  std::ostringstream out_;
};

class Reader {
 public:
  explicit Reader(const std::string& text) : in_(text) {}
  void Value(std::string& text) {
    if (!std::getline(in_, text)) good_ = false;
  }
  void Value(double& number) { Number(number); }
  void Value(bool& b) {
    int number = 0;
    Number(number);
    b = number != 0;
  }
  void Value(std::uint64_t& number) { Number(number); }
  template <class T>
  void List(std::vector<T>& items, auto each) {
    constexpr std::size_t kMost = 10'000;
    std::size_t count = 0;
    Number(count);
    good_ = good_ && count <= kMost;
    if (!good_) return;
    items.resize(count);
    for (T& item : items) each(item);
  }
  bool good() const { return good_; }

 private:
  template <class T>
  void Number(T& number) {
    std::string line;
    Value(line);
    const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), number);
    if (error != std::errc() || rest != line.data() + line.size()) good_ = false;
  }

  std::istringstream in_;
  bool good_ = true;
};

void Visit(auto& archive, auto&... values) { (archive.Value(values), ...); }

void VisitSummary(auto& archive, stress::Summary& s) {
  Visit(archive, s.count, s.p50, s.p99, s.max);
}

void VisitResult(auto& archive, PhaseResult& r) {
  Visit(archive, r.duration_ns, r.input_bytes, r.ticks_invariant);
  archive.List(r.hogs, [&](HogResult& hog) {
    Visit(archive, hog.name, hog.detail, hog.cpu_ns, hog.longest_wait_ns, hog.verified,
          hog.failure);
    VisitSummary(archive, hog.slice_ns);
  });
  archive.List(r.tickers, [&](TickerResult& ticker) {
    Visit(archive, ticker.ticks);
    VisitSummary(archive, ticker.lateness_ns);
  });
  VisitSummary(archive, r.lateness_ns);
  Visit(archive, r.ping_pong.round_trips, r.ping_pong.longest_silence_ns, r.ping_pong.failure);
  VisitSummary(archive, r.ping_pong.round_trip_ns);
  for (auto* counts : {&r.requests, &r.preemptions, &r.signals, &r.deferrals}) {
    archive.List(*counts,
                 [&](Count& count) { Visit(archive, count.name, count.text, count.value); });
  }
  VisitSummary(archive, r.prologue_stop_ns);
  VisitSummary(archive, r.signal_stop_ns);
}

}  // namespace

std::string Serialize(PhaseResult& result) {
  Writer writer;
  VisitResult(writer, result);
  return writer.Text();
}

bool Deserialize(const std::string& text, PhaseResult& result) {
  Reader reader(text);
  VisitResult(reader, result);
  return reader.good();
}

double PhaseResult::TotalCpuNs() const {
  double total = 0;
  for (const HogResult& hog : hogs) total += hog.cpu_ns;
  return total;
}

double PhaseResult::Share(const HogResult& hog) const {
  const double total = TotalCpuNs();
  return total == 0 ? 0 : hog.cpu_ns / total;
}

double PhaseResult::JainIndex() const {
  std::vector<double> served;
  for (const HogResult& hog : hogs) served.push_back(hog.cpu_ns);
  return stress::JainIndex(served);
}

const HogResult& PhaseResult::LeastServed() const {
  return *std::ranges::min_element(hogs, {}, &HogResult::cpu_ns);
}

std::uint64_t PhaseResult::Verified() const {
  std::uint64_t sum = 0;
  for (const HogResult& hog : hogs) sum += hog.verified;
  return sum;
}

std::vector<std::string> PhaseResult::Failures() const {
  std::vector<std::string> failures;
  for (const HogResult& hog : hogs) {
    if (!hog.failure.empty()) failures.push_back(hog.failure);
  }
  if (!ping_pong.failure.empty()) failures.push_back(ping_pong.failure);
  return failures;
}

std::vector<std::string> PhaseResult::Starved() const {
  const double late_ns = std::min(static_cast<double>(kStarvedLateness.count()), duration_ns / 2);
  std::vector<std::string> starved;
  for (const HogResult& hog : hogs) {
    if (Share(hog) < kStarvedShare * FairShare()) starved.push_back(hog.name);
  }
  for (std::size_t i = 0; i < tickers.size(); ++i) {
    if (tickers[i].lateness_ns.max >= late_ns) starved.push_back("ticker " + std::to_string(i + 1));
  }
  if (ping_pong.longest_silence_ns >= late_ns) starved.push_back("ping-pong pair");
  return starved;
}

}  // namespace fairness
