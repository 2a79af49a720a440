// A trace file as a consumer sees it: parsed, and held to everything that Perfetto and
// chrome://tracing need.

#ifndef URGE_TESTS_TRACE_TRACE_FILE_H_
#define URGE_TESTS_TRACE_TRACE_FILE_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stress/common/json_reader.h"

namespace urge::testing {

class TraceFile {
 public:
  using TrackId = std::pair<int, int>;  // pid, tid
  struct Slice {
    TrackId track;
    std::string name, category;
    double begin = 0, end = 0;  // microseconds
    std::uint64_t goid = 0;     // of a goroutine
    int depth = 0;
  };
  struct Instant {
    TrackId track;
    std::string name, category;
    double at = 0;
    const stress::Json* event = nullptr;
  };
  struct Flow {
    TrackId from, to;
    double begin = 0, end = 0;
  };

  // Reads and checks the file; whatever is wrong with it is a failure of the running test.
  explicit TraceFile(const std::string& path);
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;

  const std::vector<Slice>& slices() const { return slices_; }
  const std::vector<Instant>& instants() const { return instants_; }
  const std::vector<Flow>& flows() const { return flows_; }
  // Of the processors' or threads' slices, those of goroutines with that name.
  std::vector<Slice> RunsOf(std::string_view goroutine,
                            std::string_view process = "processors") const;
  std::size_t CountInstants(std::string_view prefix) const;
  std::size_t CountSlices(std::string_view prefix) const;
  std::size_t CountCounters(std::string_view name) const;
  // How many tracks of the process ("processors", "threads") have a slice.
  std::size_t CountTracks(std::string_view process) const;
  std::string Other(const std::string& key) const;

 private:
  void Check(const stress::Json& event);
  void CheckMetadata(const stress::Json& event);
  void CheckTheEnd();

  stress::Json json_;
  std::string path_;
  double last_ts_ = 0;
  std::map<TrackId, std::vector<std::size_t>> open_;  // indices into slices_
  std::map<TrackId, std::string> track_names_;
  std::map<int, std::string> process_names_;
  struct HalfFlow {
    TrackId track;
    double at;
  };
  std::map<double, HalfFlow> begun_;
  std::map<double, int> ended_;
  std::vector<Slice> slices_;
  std::vector<Instant> instants_;
  std::vector<Flow> flows_;
  std::map<std::string, std::size_t> counters_;
};

}  // namespace urge::testing

#endif  // URGE_TESTS_TRACE_TRACE_FILE_H_
