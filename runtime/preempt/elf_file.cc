// Reads section headers and symbol tables; see elf_file.h.

#include "runtime/preempt/elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <utility>

namespace urge::preempt {
namespace {

// Symbol names carry a version in .symtab ("memcpy@@GLIBC_2.14").
std::string_view WithoutVersion(std::string_view name) { return name.substr(0, name.find('@')); }

}  // namespace

std::optional<ElfFile> ElfFile::Open(const Module& module) {
  const std::string path = module.main_program ? "/proc/self/exe" : std::string(module.path);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  struct stat status;
  void* data = MAP_FAILED;
  if (fstat(fd, &status) == 0 && status.st_size > 0) {
    data = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
  }
  close(fd);
  if (data == MAP_FAILED) return std::nullopt;
  ElfFile file(static_cast<const char*>(data), static_cast<size_t>(status.st_size));
  if (!file.ReadHeaders(module.identity)) return std::nullopt;
  return file;
}

ElfFile::ElfFile(ElfFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(other.size_),
      sections_(std::move(other.sections_)),
      tables_{other.tables_[0], other.tables_[1]},
      relocations_(std::move(other.relocations_)) {}

ElfFile::~ElfFile() {
  if (data_ != nullptr) munmap(const_cast<char*>(data_), size_);
}

template <class T>
const T* ElfFile::ArrayAt(uint64_t offset, uint64_t count) const {
  if (offset > size_ || count > (size_ - offset) / sizeof(T) || offset % alignof(T) != 0) {
    return nullptr;
  }
  return reinterpret_cast<const T*>(data_ + offset);
}

std::string_view ElfFile::StringAt(uint64_t table_offset, uint64_t table_size, uint64_t at) const {
  const char* table = ArrayAt<char>(table_offset, table_size);
  if (table == nullptr || at >= table_size) return {};
  return {table + at, strnlen(table + at, table_size - at)};
}

bool ElfFile::ReadHeaders(uint64_t identity) {
  const Elf64_Ehdr* header = ArrayAt<Elf64_Ehdr>(0, 1);
  if (header == nullptr || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_phentsize != sizeof(Elf64_Phdr)) {
    return false;
  }
  const Elf64_Phdr* segments = ArrayAt<Elf64_Phdr>(header->e_phoff, header->e_phnum);
  if (segments == nullptr) return false;
  std::string_view build_id;
  for (size_t i = 0; i < header->e_phnum && build_id.empty(); ++i) {
    if (segments[i].p_type != PT_NOTE) continue;
    const char* notes = ArrayAt<char>(segments[i].p_offset, segments[i].p_filesz);
    if (notes != nullptr) build_id = FindBuildId({notes, segments[i].p_filesz});
  }
  if (HashIdentity(segments, header->e_phnum, build_id) != identity) return false;

  const Elf64_Shdr* sections = ArrayAt<Elf64_Shdr>(header->e_shoff, header->e_shnum);
  if (header->e_shoff == 0 || sections == nullptr || header->e_shstrndx >= header->e_shnum) {
    return true;  // no section headers (removed by sstrip): a file without sections
  }
  const Elf64_Shdr& names = sections[header->e_shstrndx];
  for (size_t i = 1; i < header->e_shnum; ++i) {
    const Elf64_Shdr& section = sections[i];
    if ((section.sh_flags & SHF_ALLOC) != 0) {
      sections_.push_back({.name = StringAt(names.sh_offset, names.sh_size, section.sh_name),
                           .range = {section.sh_addr, section.sh_addr + section.sh_size},
                           .executable = (section.sh_flags & SHF_EXECINSTR) != 0});
    }
    if (section.sh_type == SHT_RELA && (section.sh_flags & SHF_ALLOC) != 0) {
      relocations_.push_back({section.sh_offset, section.sh_size / sizeof(Elf64_Rela)});
    }
    if ((section.sh_type == SHT_SYMTAB || section.sh_type == SHT_DYNSYM) &&
        section.sh_link < header->e_shnum) {
      const Elf64_Shdr& strings = sections[section.sh_link];
      const auto table = section.sh_type == SHT_SYMTAB ? SymbolTable::kFull : SymbolTable::kDynamic;
      tables_[static_cast<size_t>(table)] = {section.sh_offset, section.sh_size / sizeof(Elf64_Sym),
                                             strings.sh_offset, strings.sh_size};
    }
  }
  return true;
}

bool ElfFile::HasTable(SymbolTable table) const {
  return tables_[static_cast<size_t>(table)].count != 0;
}

std::vector<FunctionSymbol> ElfFile::Functions(SymbolTable table) const {
  std::vector<FunctionSymbol> functions;
  const RawTable& raw = tables_[static_cast<size_t>(table)];
  const Elf64_Sym* symbols = ArrayAt<Elf64_Sym>(raw.symbols_offset, raw.count);
  if (symbols == nullptr) return functions;
  uint32_t file = 0;
  for (uint64_t i = 0; i < raw.count; ++i) {
    const Elf64_Sym& symbol = symbols[i];
    const auto type = ELF64_ST_TYPE(symbol.st_info);
    const auto binding = ELF64_ST_BIND(symbol.st_info);
    if (type == STT_FILE) ++file;
    // Assembly may define functions without a type; local labels without one are no functions.
    const bool function =
        type == STT_FUNC || type == STT_GNU_IFUNC || (type == STT_NOTYPE && binding != STB_LOCAL);
    if (!function || symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= SHN_LORESERVE) continue;
    functions.push_back(
        {.name = WithoutVersion(StringAt(raw.strings_offset, raw.strings_size, symbol.st_name)),
         .range = {symbol.st_value, symbol.st_value + symbol.st_size},
         .local = binding == STB_LOCAL,
         .weak = binding == STB_WEAK,
         .file = binding == STB_LOCAL ? file : 0});
  }
  return functions;
}

std::vector<FunctionSlot> ElfFile::Slots() const {
  std::vector<FunctionSlot> slots;
  const RawTable& raw = tables_[static_cast<size_t>(SymbolTable::kDynamic)];
  const Elf64_Sym* symbols = ArrayAt<Elf64_Sym>(raw.symbols_offset, raw.count);
  if (symbols == nullptr) return slots;
  for (const RawRelocations& table : relocations_) {
    const Elf64_Rela* entries = ArrayAt<Elf64_Rela>(table.offset, table.count);
    if (entries == nullptr) continue;
    for (uint64_t i = 0; i < table.count; ++i) {
      const uint64_t type = ELF64_R_TYPE(entries[i].r_info);
      const uint64_t symbol = ELF64_R_SYM(entries[i].r_info);
      if ((type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) || symbol >= raw.count) {
        continue;
      }
      if (ELF64_ST_TYPE(symbols[symbol].st_info) == STT_OBJECT) continue;
      slots.push_back({.name = WithoutVersion(
                           StringAt(raw.strings_offset, raw.strings_size, symbols[symbol].st_name)),
                       .at = entries[i].r_offset});
    }
  }
  return slots;
}

}  // namespace urge::preempt
