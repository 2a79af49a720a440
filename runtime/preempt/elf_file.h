// The section headers and symbol tables of a module, read from its file (neither is in memory).
//
// Everything is checked against the size of the file, which is mapped read-only while it is read.
// A file that no longer is what was loaded (replaced by an upgrade) is refused by its identity.

#ifndef URGE_RUNTIME_PREEMPT_ELF_FILE_H_
#define URGE_RUNTIME_PREEMPT_ELF_FILE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "runtime/preempt/modules.h"

namespace urge::preempt {

struct Section {
  std::string_view name;
  AddressRange range;  // addresses as in the file: add the module's base
  bool executable = false;
};

struct FunctionSymbol {
  std::string_view name;  // mangled, without a version
  AddressRange range;     // addresses as in the file; empty if the size is not known
  bool local = false;
  bool weak = false;
  // Of a local one: which source file's symbols it stands among. 0: not known.
  uint32_t file = 0;
};

// A word that the loader fills with the address of a function, by name: what a PLT entry jumps
// through, or code compiled with -fno-plt calls through.
struct FunctionSlot {
  std::string_view name;
  uintptr_t at = 0;  // address as in the file
};

enum class SymbolTable { kFull /* .symtab */, kDynamic /* .dynsym */ };

// Requires: not on g0, not in a signal handler (allocates, does file I/O).
class ElfFile {
 public:
  // The file of a loaded module; nothing if it can't be read or isn't the one loaded.
  static std::optional<ElfFile> Open(const Module& module);

  ElfFile(ElfFile&& other) noexcept;
  ElfFile& operator=(ElfFile&&) = delete;
  ~ElfFile();

  const std::vector<Section>& sections() const { return sections_; }
  bool HasTable(SymbolTable table) const;
  // Functions defined in the module, in the table's order. Names live as long as this object.
  std::vector<FunctionSymbol> Functions(SymbolTable table) const;
  // Words of the global offset table that are relocated by name. Names live as long as this object.
  std::vector<FunctionSlot> Slots() const;

 private:
  ElfFile(const char* data, size_t size) : data_(data), size_(size) {}
  bool ReadHeaders(uint64_t identity);
  template <class T>
  const T* ArrayAt(uint64_t offset, uint64_t count) const;
  std::string_view StringAt(uint64_t table_offset, uint64_t table_size, uint64_t at) const;

  struct RawTable {
    uint64_t symbols_offset = 0, count = 0, strings_offset = 0, strings_size = 0;
  };

  const char* data_;
  size_t size_;
  std::vector<Section> sections_;
  RawTable tables_[2];  // by SymbolTable
  struct RawRelocations {
    uint64_t offset = 0, count = 0;
  };
  std::vector<RawRelocations> relocations_;  // those that refer to .dynsym
};

}  // namespace urge::preempt

#endif  // URGE_RUNTIME_PREEMPT_ELF_FILE_H_
