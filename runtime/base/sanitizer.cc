#include "runtime/base/sanitizer.h"

namespace urge::base {

constinit bool g_has_sanitizer = false;

void FindSanitizers() { g_has_sanitizer = HasAsan() || HasTsan() || HasLsan(); }

}  // namespace urge::base
