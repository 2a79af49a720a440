// Parses .eh_frame_hdr, CIEs and FDEs; see eh_frame.h.

#include "runtime/preempt/eh_frame.h"

#include <dlfcn.h>

namespace urge::preempt {
namespace {

// DW_EH_PE encodings: a format in the low four bits, what it is relative to above, one indirection.
constexpr uint8_t kOmit = 0xff;
constexpr uint8_t kFormatMask = 0x0f;
constexpr uint8_t kRelationMask = 0x70;
constexpr uint8_t kIndirect = 0x80;
constexpr uint8_t kDataRelativeSdata4 = 0x3b;

// An entry's length as stated, which may exceed what is mapped only if the module is corrupt.
struct EntryHead {
  const uint8_t* id_at = nullptr;  // where the CIE id or CIE pointer stands
  const uint8_t* end = nullptr;
};

bool ReadEntryHead(const uint8_t* entry, EntryHead* out) {
  EhReader reader(entry, entry + 12);
  uint64_t length = reader.Fixed<uint32_t>();
  if (length == 0) return false;  // the terminator
  if (length == 0xffffffff) length = reader.Fixed<uint64_t>();
  out->id_at = reader.at();
  out->end = reader.at() + length;
  return true;
}

bool ParseCie(const uint8_t* cie, FrameDescription* out) {
  EntryHead head;
  if (!ReadEntryHead(cie, &head)) return false;
  EhReader reader(head.id_at, head.end);
  if (reader.Fixed<uint32_t>() != 0) return false;
  const uint8_t version = reader.Byte();
  if (version != 1 && version != 3) return false;
  const char* augmentation = reinterpret_cast<const char*>(reader.at());
  while (reader.Byte() != 0) {
  }
  out->code_align = reader.Uleb();
  out->data_align = reader.Sleb();
  out->return_register = version == 1 ? reader.Byte() : reader.Uleb();
  if (*augmentation == 'z') {
    const uint64_t size = reader.Uleb();
    EhReader data = reader;
    reader.Skip(size);
    for (const char* letter = augmentation + 1; *letter != 0; ++letter) {
      if (*letter == 'R') {
        out->pointer_encoding = data.Byte();
      } else if (*letter == 'P') {
        const uint8_t encoding = data.Byte();
        out->personality = data.Pointer(encoding, 0);
      } else if (*letter == 'L') {
        data.Byte();
      } else if (*letter == 'S') {
        out->signal_frame = true;
      } else {
        break;  // later letters cannot be located; the size lets us go on
      }
    }
  } else if (*augmentation != 0) {
    return false;
  }
  out->cie_program = {reader.at(), reader.end()};
  return reader.ok();
}

bool ParseFde(const uint8_t* fde, FrameDescription* out) {
  EntryHead head;
  if (!ReadEntryHead(fde, &head)) return false;
  EhReader reader(head.id_at, head.end);
  const uint32_t cie_distance = reader.Fixed<uint32_t>();
  if (cie_distance == 0) return false;  // a CIE
  if (!ParseCie(head.id_at - cie_distance, out)) return false;
  out->begin = reader.Pointer(out->pointer_encoding, 0);
  out->end = out->begin + reader.Pointer(out->pointer_encoding & kFormatMask, 0);
  // Every CIE in .eh_frame that has an 'R' letter has 'z', and with it this size.
  if (out->pointer_encoding != 0) reader.Skip(reader.Uleb());
  out->fde_program = {reader.at(), reader.end()};
  return reader.ok();
}

// The search table of a .eh_frame_hdr.
struct SearchTable {
  struct Entry {
    int32_t function;  // both relative to `base`
    int32_t fde;
  };
  uintptr_t base = 0;
  uint64_t count = 0;
  const uint8_t* entries = nullptr;

  Entry At(uint64_t index) const {
    Entry entry;
    std::memcpy(&entry, entries + index * sizeof(Entry), sizeof(entry));
    return entry;
  }
  const uint8_t* FdeAt(uint64_t index) const {
    return reinterpret_cast<const uint8_t*>(base + static_cast<intptr_t>(At(index).fde));
  }
};

bool OpenSearchTable(const void* eh_frame_hdr, SearchTable* out) {
  const uint8_t* hdr = static_cast<const uint8_t*>(eh_frame_hdr);
  if (hdr == nullptr || hdr[0] != 1) return false;
  const uint8_t frame_encoding = hdr[1];
  const uint8_t count_encoding = hdr[2];
  if (hdr[3] != kDataRelativeSdata4 || count_encoding == kOmit) return false;
  constexpr size_t kHeadBytesMax = 4 + 8 + 8;
  EhReader reader(hdr + 4, hdr + kHeadBytesMax);
  out->base = reinterpret_cast<uintptr_t>(hdr);
  reader.Pointer(frame_encoding, out->base);
  out->count = reader.Pointer(count_encoding, out->base);
  out->entries = reader.at();
  return reader.ok();
}

}  // namespace

uint64_t EhReader::Uleb() {
  uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    const uint8_t byte = Byte();
    if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
}

int64_t EhReader::Sleb() {
  uint64_t value = 0;
  unsigned shift = 0;
  uint8_t byte;
  do {
    byte = Byte();
    if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    shift += 7;
  } while ((byte & 0x80) != 0);
  if (shift < 64 && (byte & 0x40) != 0) value |= ~uint64_t{0} << shift;
  return static_cast<int64_t>(value);
}

uintptr_t EhReader::Pointer(uint8_t encoding, uintptr_t data_base) {
  if (encoding == kOmit) return 0;
  const uintptr_t here = reinterpret_cast<uintptr_t>(at_);
  uint64_t value = 0;
  switch (encoding & kFormatMask) {
    case 0x00:
    case 0x04:
    case 0x0c:
      value = Fixed<uint64_t>();
      break;
    case 0x01:
      value = Uleb();
      break;
    case 0x02:
      value = Fixed<uint16_t>();
      break;
    case 0x03:
      value = Fixed<uint32_t>();
      break;
    case 0x09:
      value = static_cast<uint64_t>(Sleb());
      break;
    case 0x0a:
      value = static_cast<uint64_t>(int64_t{Fixed<int16_t>()});
      break;
    case 0x0b:
      value = static_cast<uint64_t>(int64_t{Fixed<int32_t>()});
      break;
    default:
      Fail();
      return 0;
  }
  if (value == 0) return 0;  // null in every encoding
  switch (encoding & kRelationMask) {
    case 0x00:
      break;
    case 0x10:
      value += here;
      break;
    case 0x30:
      value += data_base;
      break;
    default:  // textrel, funcrel, aligned: not used on x86-64
      Fail();
      return 0;
  }
  if ((encoding & kIndirect) != 0) value = *reinterpret_cast<const uint64_t*>(value);
  return value;
}

bool FindFrameDescription(uintptr_t pc, FrameDescription* out) {
  dl_find_object object;
  if (_dl_find_object(reinterpret_cast<void*>(pc), &object) != 0) return false;
  SearchTable table;
  if (!OpenSearchTable(object.dlfo_eh_frame, &table)) return false;
  const int64_t wanted = static_cast<int64_t>(pc - table.base);
  uint64_t below = 0;  // entries known to start at or below pc
  uint64_t above = table.count;
  while (below < above) {
    const uint64_t middle = below + (above - below) / 2;
    if (table.At(middle).function <= wanted) {
      below = middle + 1;
    } else {
      above = middle;
    }
  }
  if (below == 0) return false;
  *out = FrameDescription();
  return ParseFde(table.FdeAt(below - 1), out) && out->begin <= pc && pc < out->end;
}

bool HasPersonalityWithin(const void* eh_frame_hdr, uintptr_t begin, uintptr_t end) {
  SearchTable table;
  if (!OpenSearchTable(eh_frame_hdr, &table)) return false;
  for (uint64_t i = 0; i < table.count; ++i) {
    FrameDescription description;
    if (!ParseFde(table.FdeAt(i), &description)) continue;
    if (description.personality >= begin && description.personality < end) return true;
  }
  return false;
}

}  // namespace urge::preempt
