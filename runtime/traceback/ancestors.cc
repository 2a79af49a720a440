// Where goroutines come from: the stacks of their ancestors when these started them, with
// URGE_DEBUG=tracebackancestors=N. Source: Go's saveAncestors.

#include <algorithm>
#include <new>
#include <vector>

#include "runtime/sched/sched.h"
#include "runtime/sched/start.h"
#include "runtime/traceback/frames.h"

namespace urge::sched {

AncestorRef RecordAncestors(const G* parent) {
  std::uintptr_t pcs[traceback::kMaxFrames];
  const traceback::Context context = traceback::CaptureContext();
  const int frames = traceback::CollectFrames(context, traceback::RangeOf(parent), pcs);
  try {
    std::vector<Ancestor> ancestors;
    const auto most = static_cast<std::size_t>(g_sched.settings.ancestors);
    const std::size_t inherited = parent->ancestors ? parent->ancestors->size() : 0;
    ancestors.reserve(std::min(most, inherited + 1));
    ancestors.push_back({parent->goid, parent->go_pc, {pcs, pcs + frames}});
    for (std::size_t i = 0; i < inherited && ancestors.size() < most; ++i) {
      ancestors.push_back((*parent->ancestors)[i]);
    }
    return AncestorRef::Make(std::move(ancestors));
  } catch (const std::bad_alloc&) {
    return {};  // a traceback without ancestors is better than a goroutine that isn't started
  }
}

}  // namespace urge::sched
