// Deferrals by function: counted by cause and address, named, subtracted, and written.

#include "runtime/trace/deferrals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <urge/metrics.h>

#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "runtime/trace/deferral_sites.h"

namespace urge {
namespace {

using testing::HasSubstr;
using trace::Counter;

void NameForTest(std::uintptr_t address, std::string* module, std::string* symbol) {
  *module = "lib\"quoted\".so";
  *symbol = address % 2 == 0 ? "even" : "odd";
}

std::uint64_t CountOf(const std::vector<deferral_site>& sites, const std::string& cause,
                      const std::string& symbol) {
  for (const deferral_site& site : sites) {
    if (site.cause == cause && site.symbol == symbol) return site.count;
  }
  return 0;
}

class Deferrals : public testing::Test {
 protected:
  Deferrals() : before_(trace::CodeNamer()) { trace::SetCodeNamer(NameForTest); }
  ~Deferrals() override { trace::SetCodeNamer(before_); }
  const trace::NameCode before_;
};

TEST_F(Deferrals, AreCountedByCauseAndFunction) {
  const metrics before = read_metrics();
  for (int i = 0; i < 3; ++i) trace::CountDeferral(Counter::kDeferOpaque, 0x1000);
  trace::CountDeferral(Counter::kDeferOpaque, 0x2000);  // of the same name
  trace::CountDeferral(Counter::kDeferOpaque, 0x1001);
  trace::CountDeferral(Counter::kDeferCallback, 0x1000);
  const metrics since = read_metrics() - before;
  EXPECT_EQ(CountOf(since.deferral_sites, "opaque", "even"), 4u);
  EXPECT_EQ(CountOf(since.deferral_sites, "opaque", "odd"), 1u);
  EXPECT_EQ(CountOf(since.deferral_sites, "callback", "even"), 1u);
  ASSERT_EQ(since.deferral_sites.size(), 3u);
  EXPECT_EQ(since.deferral_sites[0].count, 4u) << "the most frequent comes first";
}

TEST_F(Deferrals, NothingIsLostWhenTheTableIsFull) {
  const metrics before = read_metrics();
  constexpr std::uint64_t kEach = 2000;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (std::uint64_t i = 1; i <= kEach; ++i)
        trace::CountDeferral(Counter::kDeferDenied, i << 4);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const metrics since = read_metrics() - before;
  std::uint64_t sum = 0;
  for (const deferral_site& site : since.deferral_sites) sum += site.count;
  EXPECT_EQ(sum, 4 * kEach);
}

TEST_F(Deferrals, AreWrittenInEachForm) {
  metrics values;
  values.deferral_sites = {{"opaque", "lib\"quoted\".so", "f(int)", 7}, {"runtime", "", "", 1}};
  std::ostringstream text, json, open;
  write_metrics(text, values);
  write_metrics(open, values, metrics_format::openmetrics);
  write_metrics(json, values, metrics_format::json);
  EXPECT_THAT(text.str(), HasSubstr("f(int) in lib\"quoted\".so\n"));
  EXPECT_THAT(json.str(), HasSubstr("{\"cause\": \"opaque\", \"module\": \"lib\\\"quoted\\\".so\", "
                                    "\"symbol\": \"f(int)\", \"count\": 7}"));
  EXPECT_THAT(open.str(),
              HasSubstr("urge_deferrals_total{cause=\"opaque\",module=\"lib\\\"quoted\\\""
                        ".so\",symbol=\"f(int)\"} 7\n"));
  EXPECT_EQ(json.str().substr(json.str().size() - 3), "]}\n");
}

}  // namespace
}  // namespace urge
