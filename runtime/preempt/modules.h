// The modules (main program, shared libraries, vDSO) that are loaded at one moment.
//
// 1. dl_iterate_phdr visits each module under the loader's write lock, so none is unmapped
// meanwhile.
// 2. The visit copies what the preemption map needs into memory reserved beforehand: it allocates
//    nothing, because an allocator may itself call dl_iterate_phdr under a lock of its own.
// 3. If the reservation was too small, the whole visit is repeated with a larger one.
//
// `LoadCount` is the loader's count of loads and unloads: while it stays the same, so does the
// list.

#ifndef URGE_RUNTIME_PREEMPT_MODULES_H_
#define URGE_RUNTIME_PREEMPT_MODULES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace urge::preempt {

struct AddressRange {
  uintptr_t begin = 0;
  uintptr_t end = 0;

  bool Contains(uintptr_t address) const { return address >= begin && address < end; }
  bool operator==(const AddressRange&) const = default;
};

struct Module {
  static constexpr size_t kTextRangesMax = 4;

  std::string_view path;              // as the loader knows it; empty for the main program
  std::string_view soname;            // DT_SONAME, may be empty
  uintptr_t base = 0;                 // what is added to the addresses in its file
  AddressRange text[kTextRangesMax];  // executable segments
  size_t text_count = 0;
  const void* eh_frame_hdr = nullptr;
  uint64_t identity =
      0;  // hash of program headers and build id; the same in memory and in the file
  bool main_program = false;

  bool Contains(uintptr_t address) const;
};

class ModuleList {
 public:
  // Requires: not on g0, not in a signal handler (allocates, and takes the loader's write lock).
  static ModuleList Snapshot();

  const std::vector<Module>& modules() const { return modules_; }
  uint64_t load_count() const { return load_count_; }
  const Module* Find(uintptr_t address) const;

 private:
  friend struct SnapshotVisit;

  std::vector<Module> modules_;
  std::string names_;  // backs the modules' string_views; never grows after the visit began
  uint64_t load_count_ = 0;
};

// Changes whenever a module was loaded or unloaded. About 0.1 us. Takes the loader's write lock,
// but does nothing under it. Requires: not in a signal handler.
uint64_t LoadCount();

// The identity of a module, from its program headers as they are in memory or in its file.
// `headers` is an array of Elf64_Phdr; `note_bytes_at` yields the build id note's bytes.
uint64_t HashIdentity(const void* headers, size_t count, std::string_view build_id);

// The descriptor of the NT_GNU_BUILD_ID note within a PT_NOTE segment; empty if there is none.
std::string_view FindBuildId(std::string_view notes);

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_MODULES_H_
