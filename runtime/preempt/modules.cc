// Takes snapshots of the loader's module list; see modules.h.

#include "runtime/preempt/modules.h"

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstring>

namespace urge::preempt {
namespace {

constexpr size_t kModulesReserved = 64;
constexpr size_t kNameBytesReserved = size_t{16} << 10;

// The string table and soname of a loaded module, from its dynamic section. The loader relocates
// DT_STRTAB in place except in the vDSO, whose dynamic section is read-only.
std::string_view ReadSoname(const ElfW(Dyn) * dynamic, uintptr_t base) {
  uintptr_t strings = 0;
  uint64_t soname = 0;
  bool found = false;
  for (; dynamic != nullptr && dynamic->d_tag != DT_NULL; ++dynamic) {
    if (dynamic->d_tag == DT_STRTAB) strings = dynamic->d_un.d_ptr;
    if (dynamic->d_tag == DT_SONAME) {
      soname = dynamic->d_un.d_val;
      found = true;
    }
  }
  if (!found || strings == 0) return {};
  if (strings < base) strings += base;
  return reinterpret_cast<const char*>(strings + soname);
}

Module Describe(const dl_phdr_info& info) {
  Module module;
  module.base = info.dlpi_addr;
  const ElfW(Dyn)* dynamic = nullptr;
  std::string_view build_id;
  for (size_t i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info.dlpi_phdr[i];
    const uintptr_t address = module.base + header.p_vaddr;
    if (header.p_type == PT_LOAD && (header.p_flags & PF_X) != 0) {
      if (module.text_count < Module::kTextRangesMax) {
        module.text[module.text_count++] = {address, address + header.p_memsz};
      }
    } else if (header.p_type == PT_DYNAMIC) {
      dynamic = reinterpret_cast<const ElfW(Dyn)*>(address);
    } else if (header.p_type == PT_GNU_EH_FRAME) {
      module.eh_frame_hdr = reinterpret_cast<const void*>(address);
    } else if (header.p_type == PT_NOTE && build_id.empty()) {
      build_id = FindBuildId({reinterpret_cast<const char*>(address), header.p_memsz});
    }
  }
  module.path = info.dlpi_name;
  module.soname = ReadSoname(dynamic, module.base);
  module.identity = HashIdentity(info.dlpi_phdr, info.dlpi_phnum, build_id);
  return module;
}

uint64_t CountLoads(const dl_phdr_info& info) { return info.dlpi_adds + info.dlpi_subs; }

}  // namespace

// State of one visit; reserves everything before the loader's lock is taken.
struct SnapshotVisit {
  explicit SnapshotVisit(size_t scale) {
    list.modules_.reserve(kModulesReserved * scale);
    list.names_.reserve(kNameBytesReserved * scale);
  }

  std::string_view Keep(std::string_view text) {
    if (list.names_.capacity() - list.names_.size() < text.size()) {
      overflow = true;
      return {};
    }
    const size_t at = list.names_.size();
    list.names_.append(text);
    return std::string_view(list.names_).substr(at);
  }

  static int Visit(dl_phdr_info* info, size_t, void* self) {
    SnapshotVisit& visit = *static_cast<SnapshotVisit*>(self);
    ModuleList& list = visit.list;
    if (list.modules_.size() == list.modules_.capacity()) {
      visit.overflow = true;
      return 1;
    }
    Module module = Describe(*info);
    module.main_program = list.modules_.empty();  // the loader lists it first
    module.path = visit.Keep(module.path);
    module.soname = visit.Keep(module.soname);
    list.modules_.push_back(module);
    list.load_count_ = CountLoads(*info);
    return visit.overflow ? 1 : 0;
  }

  ModuleList list;
  bool overflow = false;
};

bool Module::Contains(uintptr_t address) const {
  return std::any_of(text, text + text_count,
                     [&](const AddressRange& range) { return range.Contains(address); });
}

ModuleList ModuleList::Snapshot() {
  for (size_t scale = 1;; scale *= 2) {
    SnapshotVisit visit(scale);
    dl_iterate_phdr(&SnapshotVisit::Visit, &visit);
    // Moving a string of this capacity moves its buffer, so the views stay valid.
    if (!visit.overflow) return std::move(visit.list);
  }
}

const Module* ModuleList::Find(uintptr_t address) const {
  for (const Module& module : modules_) {
    if (module.Contains(address)) return &module;
  }
  return nullptr;
}

uint64_t LoadCount() {
  uint64_t count = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        *static_cast<uint64_t*>(out) = CountLoads(*info);
        return 1;  // every module tells the same
      },
      &count);
  return count;
}

uint64_t HashIdentity(const void* headers, size_t count, std::string_view build_id) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  const auto mix = [&hash](std::string_view bytes) {
    for (const char byte : bytes) {
      hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
    }
  };
  mix({static_cast<const char*>(headers), count * sizeof(ElfW(Phdr))});
  mix(build_id);
  return hash;
}

std::string_view FindBuildId(std::string_view notes) {
  const auto aligned = [](uint64_t size) { return (size + 3) & ~uint64_t{3}; };
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, notes.data(), sizeof(note));
    const uint64_t bytes = sizeof(note) + aligned(note.n_namesz) + aligned(note.n_descsz);
    if (bytes > notes.size()) return {};
    const std::string_view name = notes.substr(sizeof(note), note.n_namesz);
    if (note.n_type == NT_GNU_BUILD_ID && name == std::string_view("GNU\0", 4)) {
      return notes.substr(sizeof(note) + aligned(note.n_namesz), note.n_descsz);
    }
    notes.remove_prefix(bytes);
  }
  return {};
}

}  // namespace urge::preempt
