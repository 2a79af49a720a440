#include "runtime/trace/deferral_sites.h"

#include <algorithm>
#include <iomanip>
#include <ostream>
#include <string>
#include <string_view>
#include <tuple>

#include "runtime/trace/deferrals.h"

namespace urge::trace {
namespace {

auto Key(const deferral_site& site) { return std::tie(site.cause, site.module, site.symbol); }

void SortByCount(std::vector<deferral_site>& sites) {
  std::sort(sites.begin(), sites.end(), [](const deferral_site& a, const deferral_site& b) {
    return a.count != b.count ? a.count > b.count : Key(a) < Key(b);
  });
}

void Quote(std::ostream& out, std::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  out << '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out << '\\' << c;
    } else if (byte < 0x20) {
      out << "\\u00" << kDigits[byte >> 4] << kDigits[byte & 15];
    } else {
      out << c;
    }
  }
  out << '"';
}

}  // namespace

std::vector<deferral_site> ReadDeferralSites() {
  std::vector<deferral_site> sites;
  const NameCode name_code = CodeNamer();
  ForEachDeferral([&](const Deferral& deferral) {
    deferral_site site{DeferralName(deferral.cause), {}, {}, deferral.count};
    if (deferral.address != 0 && name_code != nullptr) {
      name_code(deferral.address, &site.module, &site.symbol);
    }
    sites.push_back(std::move(site));
  });
  // Several functions may have one name: parts, and local ones.
  std::sort(sites.begin(), sites.end(),
            [](const deferral_site& a, const deferral_site& b) { return Key(a) < Key(b); });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < sites.size(); ++i) {
    if (kept != 0 && Key(sites[kept - 1]) == Key(sites[i])) {
      sites[kept - 1].count += sites[i].count;
    } else if (kept++ != i) {
      sites[kept - 1] = std::move(sites[i]);
    }
  }
  sites.resize(kept);
  SortByCount(sites);
  return sites;
}

void SubtractDeferralSites(std::vector<deferral_site>& later,
                           const std::vector<deferral_site>& earlier) {
  for (const deferral_site& before : earlier) {
    for (deferral_site& site : later) {
      if (Key(site) == Key(before)) site.count -= std::min(site.count, before.count);
    }
  }
  std::erase_if(later, [](const deferral_site& site) { return site.count == 0; });
  SortByCount(later);
}

void WriteDeferralSitesText(std::ostream& out, const std::vector<deferral_site>& sites) {
  for (const deferral_site& site : sites) {
    out << "deferred_by " << std::left << std::setw(12) << site.cause << std::right << std::setw(14)
        << site.count << "  " << (site.symbol.empty() ? "?" : site.symbol) << " in "
        << (site.module.empty() ? "?" : site.module) << '\n';
  }
}

void WriteDeferralSitesJson(std::ostream& out, const std::vector<deferral_site>& sites) {
  out << "\"deferral_sites\": [";
  const char* separator = "";
  for (const deferral_site& site : sites) {
    out << separator << "{\"cause\": ";
    Quote(out, site.cause);
    out << ", \"module\": ";
    Quote(out, site.module);
    out << ", \"symbol\": ";
    Quote(out, site.symbol);
    out << ", \"count\": " << site.count << '}';
    separator = ", ";
  }
  out << ']';
}

}  // namespace urge::trace
