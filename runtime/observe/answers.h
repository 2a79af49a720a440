// What a process answers to those who watch it. One request is one line; one answer is one line of
// JSON, but for `openmetrics`, whose text ends with its line "# EOF".
//
//   snapshot      the process, its Ps, goroutines and threads, and all metrics: in total, and since
//                 this connection's previous snapshot (the first time: since the metrics were
//                 served)
//   metrics       the metrics alone, as write_metrics writes them
//   openmetrics   the same in that form, preceded by gauges of goroutines, Ps and threads
//   help          the names of the requests
//
// Every object has "protocol": 1, which grows when a field changes its meaning or goes; fields may
// be added at any time. A request that isn't known is answered by {"protocol": 1, "error": "…"}.
// All times are in nanoseconds.
//
// A request that begins with GET is HTTP: /metrics is openmetrics, / is snapshot.

#ifndef URGE_RUNTIME_OBSERVE_ANSWERS_H_
#define URGE_RUNTIME_OBSERVE_ANSWERS_H_

#include <urge/metrics.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/observe/look.h"

namespace urge::observe {

inline constexpr int kProtocol = 1;

std::string ErrorAnswer(std::string_view what);

// Answers the requests of one connection; remembers its previous snapshot. Runs on: plain threads.
class Answerer {
 public:
  // `line` without its end.
  std::string Answer(std::string_view line);
  // `head` is a request up to its empty line.
  std::string AnswerHttp(std::string_view head);

 private:
  struct Previous {
    std::uint64_t at_ns = 0;
    metrics values;
    std::vector<ProcLook> procs;
  };

  std::string Snapshot();

  std::optional<Previous> previous_;
};

// When the process began to be served: where first intervals begin.
void NoteServedFrom(std::uint64_t now_ns);

}  // namespace urge::observe

#endif  // URGE_RUNTIME_OBSERVE_ANSWERS_H_
