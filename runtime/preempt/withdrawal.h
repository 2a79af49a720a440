// Modules that are being closed: their text is taken out of the preemption map at once.
//
// 1. Before dlclose a ModuleWithdrawal takes a place (one of a few, in static memory) and writes
// the
//    module's text range into it. From then on Classify finds it kUnknown. No table is built for
//    that, so nothing is waited for.
// 2. After dlclose the place becomes closed, but still hides its range, since the published table
//    may still contain it.
// 3. A rebuild that took its snapshot of the modules after that frees the place: its table lacks
//    the module, or contains it rightly if others keep it loaded.
//
// A place goes free -> claimed -> active -> closed -> free.

#ifndef URGE_RUNTIME_PREEMPT_WITHDRAWAL_H_
#define URGE_RUNTIME_PREEMPT_WITHDRAWAL_H_

#include <cstdint>

namespace urge::preempt {

// Withdraws the module that holds `address` from the map at once, for the time of a dlclose; ends
// in a Rebuild. If more modules are being closed at a time than there are places for (8), the
// process's text is opaque meanwhile.
class ModuleWithdrawal {
 public:
  explicit ModuleWithdrawal(uintptr_t address);
  // Of every module but the main program: which ones a dlclose takes along can't be told beforehand
  // (libraries that only the closed one needed, perhaps loaded long before it).
  struct Libraries {};
  explicit ModuleWithdrawal(Libraries);
  ~ModuleWithdrawal();
  ModuleWithdrawal(const ModuleWithdrawal&) = delete;
  ModuleWithdrawal& operator=(const ModuleWithdrawal&) = delete;

 private:
  int place_;
};

// For the map.

// Signal-safe: yes.
bool IsWithdrawn(uintptr_t pc);
// The closed places, as bits. A snapshot of the modules that is taken later knows of their closing.
uint32_t ClosedPlaces();
void FreePlaces(uint32_t places);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_WITHDRAWAL_H_
