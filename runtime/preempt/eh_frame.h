// Finding the frame description (CIE and FDE) of an instruction.
//
// 1. `_dl_find_object` (glibc >= 2.35) names the module of a pc without a lock and without
// allocation.
// 2. Its .eh_frame_hdr holds a table of (function start, FDE) pairs sorted by start; a binary
// search
//    finds the last start that is not above the pc.
// 3. The FDE and its CIE are parsed into a FrameDescription, which points into the mapped module.
//
// Invariants: reads only the mapped, read-only unwind data of a loaded module; takes no lock,
// allocates nothing, keeps nothing.
//
// Not handled, on purpose: code registered by __register_frame (JITs; its registry has a lock), a
// .eh_frame_hdr without its search table (no current linker omits it), .debug_frame (not mapped).
//
// Rejected: dl_iterate_phdr, which takes the loader's lock: the interrupted goroutine may hold it.
//
// Source: LSB 5.0 Core, "Exception Frames"; DWARF 5, section 6.4.

#ifndef URGE_RUNTIME_PREEMPT_EH_FRAME_H_
#define URGE_RUNTIME_PREEMPT_EH_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace urge::preempt {

// Reads unwind data in order. Stops at `end`: past it every read yields zero and ok() is false.
class EhReader {
 public:
  EhReader(const uint8_t* at, const uint8_t* end) : at_(at), end_(end) {}

  const uint8_t* at() const { return at_; }
  const uint8_t* end() const { return end_; }
  bool AtEnd() const { return at_ >= end_; }
  bool ok() const { return ok_; }

  template <class T>
  T Fixed() {
    T value{};
    if (static_cast<size_t>(end_ - at_) < sizeof(T)) {
      Fail();
    } else {
      std::memcpy(&value, at_, sizeof(T));
      at_ += sizeof(T);
    }
    return value;
  }
  uint8_t Byte() { return Fixed<uint8_t>(); }
  uint64_t Uleb();
  int64_t Sleb();
  void Skip(uint64_t bytes) {
    if (static_cast<uint64_t>(end_ - at_) < bytes) {
      Fail();
    } else {
      at_ += bytes;
    }
  }
  // A pointer in one of the DW_EH_PE encodings. `data_base` is what "datarel" refers to.
  uintptr_t Pointer(uint8_t encoding, uintptr_t data_base);

 private:
  void Fail() {
    ok_ = false;
    at_ = end_;
  }

  const uint8_t* at_;
  const uint8_t* end_;
  bool ok_ = true;
};

struct ByteRange {
  const uint8_t* begin = nullptr;
  const uint8_t* end = nullptr;
};

// What the CIE and FDE of one function say, before their programs are run.
struct FrameDescription {
  uintptr_t begin = 0;  // the code that the FDE covers
  uintptr_t end = 0;
  ByteRange cie_program;
  ByteRange fde_program;
  uint64_t code_align = 1;
  int64_t data_align = 1;
  uint64_t return_register = 16;
  uintptr_t personality = 0;  // 0: none
  uint8_t pointer_encoding = 0;
  bool signal_frame = false;
};

// Finds the description of the function that holds `pc`, which must not be a return address (pass
// that minus one). Signal-safe: yes.
bool FindFrameDescription(uintptr_t pc, FrameDescription* out);

// True if some function described by this .eh_frame_hdr has its personality routine within
// [begin, end). Tells a module with its own copy of the C++ runtime, even when it is stripped.
bool HasPersonalityWithin(const void* eh_frame_hdr, uintptr_t begin, uintptr_t end);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_EH_FRAME_H_
