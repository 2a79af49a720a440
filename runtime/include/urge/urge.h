// All of urge. Each header also stands alone.

#ifndef URGE_URGE_H_
#define URGE_URGE_H_

#include <urge/chan.h>
#include <urge/debug.h>
#include <urge/future.h>
#include <urge/go.h>
#include <urge/metrics.h>
#include <urge/preempt.h>
#include <urge/profile.h>
#include <urge/runtime.h>
#include <urge/sync.h>
#include <urge/time.h>
#include <urge/trace.h>

#endif  // URGE_URGE_H_
