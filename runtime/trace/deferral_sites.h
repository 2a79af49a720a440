// Deferrals by module and symbol, as <urge/metrics.h> shows them.

#ifndef URGE_RUNTIME_TRACE_DEFERRAL_SITES_H_
#define URGE_RUNTIME_TRACE_DEFERRAL_SITES_H_

#include <iosfwd>
#include <vector>

#include <urge/metrics.h>

namespace urge::trace {

// Most frequent first.
std::vector<deferral_site> ReadDeferralSites();
// later -= earlier; what has not grown is left out.
void SubtractDeferralSites(std::vector<deferral_site>& later,
                           const std::vector<deferral_site>& earlier);

// `deferred by libc.so.6 malloc()   12 opaque`, a line for each.
void WriteDeferralSitesText(std::ostream& out, const std::vector<deferral_site>& sites);
// "deferral_sites": [{"cause": "opaque", "module": "libc.so.6", "symbol": "malloc()", "count": 12}]
void WriteDeferralSitesJson(std::ostream& out, const std::vector<deferral_site>& sites);

}  // namespace urge::trace

#endif  // URGE_RUNTIME_TRACE_DEFERRAL_SITES_H_
