// The preemption map: what is preemptible by default, what the user's rules change, and that the
// handler may read it while it is rebuilt.
//
// build: -I/usr/include/lua5.4
// link: -Wl,--no-as-needed -lz -llua5.4
// needs: zlib.h lua5.4/lua.hpp

#include "runtime/preempt/map.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <link.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <unistd.h>
#include <zlib.h>
#include <lua5.4/lua.hpp>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "runtime/preempt/policy.h"
#include "runtime/preempt/table.h"
#include "runtime/preempt/withdrawal.h"
#include "tests/preempt/plugin.h"

// What handlers may read is never freed, and each test has a table of its own.
extern "C" const char* __lsan_default_suppressions() { return "leak:TextTable::Publish"; }

namespace map_test {
[[gnu::noinline]] int DeniedLater(int x) { return x * 3 + static_cast<int>(getpid() == 0); }
[[gnu::noinline]] int DeniedByDemangledName(int x) { return x * 5 + (getppid() == 0); }
[[gnu::noinline]] int DeniedByEnvironment(int x) { return x * 7 + (getppid() == 0); }
[[gnu::noinline]] int OwnFunction(int x) { return x + (getppid() == 1); }
}  // namespace map_test

extern "C" {
// Stand-ins for a statically linked allocator: denied by name.
[[gnu::noinline, gnu::used]] void* mi_test_allocate() { return nullptr; }
[[gnu::section("urge_text"), gnu::noinline, gnu::used]] int InRuntimeSection() { return 1; }
}

namespace urge::preempt {
namespace {

template <class F>
uintptr_t AddressOf(F* function) {
  return reinterpret_cast<uintptr_t>(function);
}
uintptr_t SymbolIn(const char* module, const char* name) {
  void* handle = dlopen(module, RTLD_LAZY | RTLD_NOLOAD);
  return reinterpret_cast<uintptr_t>(dlsym(handle, name));
}
TextKind KindOf(uintptr_t pc) { return PreemptionMap::Classify(pc); }

class MapTest : public testing::Test {
 protected:
  void SetUp() override { PreemptionMap::Rebuild(); }
};

TEST(MapBeforeTheFirstRebuild, KnowsNothing) {
  TextTable table;
  EXPECT_EQ(table.Find(AddressOf(&map_test::OwnFunction)), TextKind::kUnknown);
}

TEST_F(MapTest, MainProgramIsPreemptible) {
  EXPECT_EQ(KindOf(AddressOf(&map_test::OwnFunction)), TextKind::kPreemptible);
  EXPECT_EQ(KindOf(AddressOf(&map_test::DeniedLater) + 1), TextKind::kPreemptible);
}

TEST_F(MapTest, RuntimeSectionIsRuntime) {
  EXPECT_EQ(KindOf(AddressOf(&InRuntimeSection)), TextKind::kRuntime);
}

TEST_F(MapTest, LinkedInAllocatorIsDenied) {
  EXPECT_EQ(KindOf(AddressOf(&mi_test_allocate)), TextKind::kDenied);
}

TEST_F(MapTest, LibcIsOpaque) {
  for (const char* name : {"malloc", "free", "printf", "scandir", "pthread_mutex_lock", "write",
                           "getenv", "localtime", "exit", "fork"}) {
    EXPECT_EQ(KindOf(SymbolIn("libc.so.6", name)), TextKind::kOpaque) << name;
  }
}

TEST_F(MapTest, SortingAndSearchingMayCallBack) {
  for (const char* name : {"qsort_r", "bsearch", "lfind", "tsearch"}) {
    EXPECT_EQ(KindOf(SymbolIn("libc.so.6", name)), TextKind::kCallsBack) << name;
  }
}

TEST_F(MapTest, PureLibcLeavesArePreemptibleInTheVariantThatRuns) {
  for (const char* name : {"memcpy", "memmove", "memset", "memcmp", "memchr", "strlen", "strchr",
                           "strcmp", "strncmp", "strcpy"}) {
    const uintptr_t address = SymbolIn("libc.so.6", name);
    EXPECT_EQ(KindOf(address), TextKind::kPure) << name;
    EXPECT_EQ(KindOf(address + 8), TextKind::kPure) << name;
  }
}

TEST_F(MapTest, LibmIsPreemptibleButItsPltIsNot) {
  const uintptr_t sine = SymbolIn("libm.so.6", "sin");
  ASSERT_NE(sine, 0u);
  EXPECT_EQ(KindOf(sine), TextKind::kPure);
  EXPECT_EQ(KindOf(SymbolIn("libm.so.6", "lgamma")), TextKind::kPure);
  Dl_info info;
  ASSERT_NE(dladdr(reinterpret_cast<void*>(sine), &info), 0);
  const uintptr_t base = reinterpret_cast<uintptr_t>(info.dli_fbase);
  const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(base);
  const auto* segments = reinterpret_cast<const ElfW(Phdr)*>(base + header->e_phoff);
  for (int i = 0; i < header->e_phnum; ++i) {
    if (segments[i].p_type == PT_LOAD && (segments[i].p_flags & PF_X) != 0) {
      // The segment begins with .init and .plt.
      EXPECT_EQ(KindOf(base + segments[i].p_vaddr), TextKind::kOpaque);
      EXPECT_EQ(KindOf(base + segments[i].p_vaddr + 0x30), TextKind::kOpaque);
    }
  }
}

TEST_F(MapTest, StandardLibraryLoaderAndVdsoAreOpaque) {
  EXPECT_EQ(KindOf(SymbolIn("libstdc++.so.6", "__cxa_throw")), TextKind::kOpaque);
  EXPECT_EQ(KindOf(SymbolIn("libstdc++.so.6", "_ZSt9terminatev")), TextKind::kOpaque);
  EXPECT_EQ(KindOf(SymbolIn("libgcc_s.so.1", "_Unwind_RaiseException")), TextKind::kOpaque);
  EXPECT_EQ(KindOf(reinterpret_cast<uintptr_t>(dlsym(RTLD_DEFAULT, "__tls_get_addr"))),
            TextKind::kOpaque);  // the loader's
  const uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
  ASSERT_NE(vdso, 0u);
  EXPECT_EQ(KindOf(vdso + 0x800), TextKind::kOpaque);
}

// malloc stops whoever is asked to, as it ends, under operator new as well.
TEST_F(MapTest, OperatorsNewAndDeleteMayLieBelow) {
  for (const char* name : {"_Znwm", "_Znam", "_ZdlPv", "_ZdaPvm", "_ZnwmSt11align_val_t"}) {
    EXPECT_EQ(KindOf(SymbolIn("libstdc++.so.6", name)), TextKind::kCallsBack) << name;
  }
}

TEST_F(MapTest, UnmappedAddressesAndStacksAreUnknown) {
  int local = 0;
  EXPECT_EQ(KindOf(0), TextKind::kUnknown);
  EXPECT_EQ(KindOf(AddressOf(&local)), TextKind::kUnknown);
  EXPECT_EQ(KindOf(~uintptr_t{0}), TextKind::kUnknown);
  EXPECT_EQ(KindOf(0xffffffffff600000), TextKind::kUnknown);  // vsyscall
}

TEST_F(MapTest, AllowingAModuleMakesItPreemptible) {
  const uintptr_t crc = SymbolIn("libz.so.1", "crc32");
  ASSERT_NE(crc, 0u) << zlibVersion();
  EXPECT_EQ(KindOf(crc), TextKind::kOpaque);
  EXPECT_TRUE(PreemptionMap::AllowModule("libz.so"));
  EXPECT_EQ(KindOf(crc), TextKind::kPreemptible);
}

TEST_F(MapTest, EnvironmentAllowsModules) {  // set in main, before the first Rebuild
  ASSERT_EQ(lua_version(nullptr), 504);
  EXPECT_EQ(KindOf(SymbolIn("liblua5.4.so.0", "lua_callk")), TextKind::kPreemptible);
}

TEST_F(MapTest, EnvironmentDeniesFunctions) {  // likewise
  EXPECT_EQ(KindOf(AddressOf(&map_test::DeniedByEnvironment)), TextKind::kDenied);
}

TEST_F(MapTest, ModulesThatMustStayOpaqueAreRefused) {
  for (const char* name : {"libc.so.6", "libc", "libstdc++.so.6", "ld-linux-x86-64.so.2"}) {
    EXPECT_FALSE(PreemptionMap::AllowModule(name)) << name;
  }
  EXPECT_EQ(KindOf(SymbolIn("libc.so.6", "malloc")), TextKind::kOpaque);
  EXPECT_FALSE(PreemptionMap::AllowModule("libdoesnotexist.so.3"));
  EXPECT_FALSE(PreemptionMap::AllowModule(""));
}

TEST_F(MapTest, DenyingMatchesMangledAndDemangledNames) {
  const uintptr_t mangled = AddressOf(&map_test::DeniedLater);
  const uintptr_t demangled = AddressOf(&map_test::DeniedByDemangledName);
  ASSERT_EQ(KindOf(mangled), TextKind::kPreemptible);
  EXPECT_FALSE(PreemptionMap::DenySymbols("no_such_function_*"));
  EXPECT_TRUE(PreemptionMap::DenySymbols("_ZN8map_test11DeniedLate?Ei"));
  EXPECT_EQ(KindOf(mangled), TextKind::kDenied);
  EXPECT_EQ(KindOf(demangled), TextKind::kPreemptible);
  EXPECT_TRUE(PreemptionMap::DenySymbols("map_test::*ByDemangledName"));
  EXPECT_EQ(KindOf(demangled), TextKind::kDenied);
  EXPECT_EQ(KindOf(AddressOf(&map_test::OwnFunction)), TextKind::kPreemptible);
}

TEST_F(MapTest, DescribeNamesModuleAndSymbol) {
  const TextDescription own = PreemptionMap::Describe(AddressOf(&map_test::DeniedLater) + 2);
  EXPECT_EQ(own.module, "main program");
  EXPECT_EQ(own.symbol, "map_test::DeniedLater(int)");
  EXPECT_EQ(own.offset, 2u);
  const TextDescription foreign = PreemptionMap::Describe(SymbolIn("libc.so.6", "qsort"));
  EXPECT_NE(foreign.module.find("libc.so.6"), std::string::npos);
  EXPECT_EQ(foreign.symbol, "qsort");
}

TEST_F(MapTest, PrintShowsEveryModule) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  PreemptionMap::Print(pipe_ends[1]);
  close(pipe_ends[1]);
  std::string text(1 << 16, 0);
  text.resize(static_cast<size_t>(read(pipe_ends[0], text.data(), text.size())));
  close(pipe_ends[0]);
  EXPECT_NE(text.find("main program"), std::string::npos) << text;
  EXPECT_NE(text.find("libc.so.6"), std::string::npos) << text;
}

TEST_F(MapTest, FollowsDlopenAndDlclose) {
  ASSERT_FALSE(PreemptionMap::Stale());
  void* plugin = dlopen(BuildPlugin().c_str(), RTLD_NOW);
  ASSERT_NE(plugin, nullptr) << dlerror();
  const uintptr_t spin = reinterpret_cast<uintptr_t>(dlsym(plugin, "plugin_spin"));
  EXPECT_TRUE(PreemptionMap::Stale());
  EXPECT_EQ(KindOf(spin), TextKind::kUnknown);
  PreemptionMap::Rebuild();
  EXPECT_FALSE(PreemptionMap::Stale());
  EXPECT_EQ(KindOf(spin), TextKind::kOpaque);
  EXPECT_TRUE(PreemptionMap::AllowModule("preempt_plugin.so"));
  EXPECT_EQ(KindOf(spin), TextKind::kPreemptible);
  {
    const ModuleWithdrawal withdrawal(spin);
    EXPECT_EQ(KindOf(spin), TextKind::kUnknown);
    PreemptionMap::Rebuild();  // somebody else's, before the module is gone
    EXPECT_EQ(KindOf(spin), TextKind::kUnknown);
    dlclose(plugin);
    EXPECT_EQ(KindOf(spin), TextKind::kUnknown);
  }
  EXPECT_EQ(KindOf(spin), TextKind::kUnknown);
  EXPECT_FALSE(PreemptionMap::Stale());
  plugin = dlopen(BuildPlugin().c_str(), RTLD_NOW);  // the rule is remembered
  PreemptionMap::Rebuild();
  EXPECT_EQ(KindOf(reinterpret_cast<uintptr_t>(dlsym(plugin, "plugin_spin"))),
            TextKind::kPreemptible);
  dlclose(plugin);
}

TEST_F(MapTest, DlcloseWithdrawsWhatItCloses) {
  ASSERT_TRUE(PreemptionMap::Published());
  PreemptionMap::AllowModule("preempt_plugin.so");
  for (int i = 0; i < 3; ++i) {
    void* plugin = dlopen(BuildPlugin().c_str(), RTLD_NOW);
    void* again = dlopen(BuildPlugin().c_str(), RTLD_NOW);
    const uintptr_t spin = reinterpret_cast<uintptr_t>(dlsym(plugin, "plugin_spin"));
    PreemptionMap::Rebuild();
    ASSERT_EQ(KindOf(spin), TextKind::kPreemptible);
    ASSERT_EQ(dlclose(again), 0);
    EXPECT_EQ(KindOf(spin), TextKind::kPreemptible) << "it is still loaded";
    ASSERT_EQ(dlclose(plugin), 0);
    EXPECT_EQ(KindOf(spin), TextKind::kUnknown);
    EXPECT_FALSE(PreemptionMap::Stale());
  }
}

TEST_F(MapTest, OnlyTheProgramIsPreemptibleWhileALibraryIsClosed) {
  const uintptr_t copy = SymbolIn("libc.so.6", "memcpy");
  const ModuleWithdrawal withdrawal{ModuleWithdrawal::Libraries{}};
  EXPECT_EQ(KindOf(copy), TextKind::kUnknown);
  EXPECT_EQ(KindOf(AddressOf(&map_test::OwnFunction)), TextKind::kPreemptible);
}

TEST_F(MapTest, WithdrawalOfAModuleThatStaysLoadedEnds) {
  void* plugin = dlopen(BuildPlugin().c_str(), RTLD_NOW);
  PreemptionMap::AllowModule("preempt_plugin");
  const uintptr_t spin = reinterpret_cast<uintptr_t>(dlsym(plugin, "plugin_spin"));
  EXPECT_EQ(KindOf(spin), TextKind::kPreemptible);
  for (int i = 0; i < 3; ++i) {  // more closings at once than there are places
    std::vector<std::unique_ptr<ModuleWithdrawal>> all;
    for (int j = 0; j < 12; ++j) all.push_back(std::make_unique<ModuleWithdrawal>(spin));
    EXPECT_EQ(KindOf(spin), TextKind::kUnknown);
  }
  EXPECT_EQ(KindOf(spin), TextKind::kPreemptible);
  dlclose(plugin);
}

// --- Reading while it is rebuilt ---

std::atomic<uintptr_t> probe_own, probe_malloc;
std::atomic<uint64_t> wrong_answers, signals_seen;

void CheckProbes() {
  if (PreemptionMap::Classify(probe_own) != TextKind::kPreemptible) ++wrong_answers;
  if (PreemptionMap::Classify(probe_malloc) != TextKind::kOpaque) ++wrong_answers;
}

TEST_F(MapTest, ReadersAndHandlersSeeWholeTablesDuringRebuilds) {
  probe_own = AddressOf(&map_test::OwnFunction);
  probe_malloc = SymbolIn("libc.so.6", "malloc");
  struct sigaction action {};
  action.sa_handler = [](int) {
    ++signals_seen;
    CheckProbes();
  };
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  const itimerval every_ms{{0, 1000}, {0, 1000}};
  setitimer(ITIMER_REAL, &every_ms, nullptr);
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&stop] {
      while (!stop) CheckProbes();
    });
  }
  for (int i = 0; i < 60; ++i) {
    void* plugin = dlopen(BuildPlugin().c_str(), RTLD_NOW);
    PreemptionMap::Rebuild();
    dlclose(plugin);
    PreemptionMap::Rebuild();
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  const itimerval never{};
  setitimer(ITIMER_REAL, &never, nullptr);
  EXPECT_EQ(wrong_answers, 0u);
  EXPECT_GT(signals_seen, 0u);
}

TEST_F(MapTest, ConcurrentRebuildsEndUpToDate) {
  std::vector<std::thread> builders;
  for (int i = 0; i < 4; ++i) {
    builders.emplace_back([] {
      for (int j = 0; j < 20; ++j) PreemptionMap::Rebuild();
    });
  }
  for (std::thread& builder : builders) builder.join();
  EXPECT_FALSE(PreemptionMap::Stale());
  EXPECT_EQ(KindOf(AddressOf(&map_test::OwnFunction)), TextKind::kPreemptible);
}

TEST(TextTableTest, ReadersOvertakenByManyPublicationsNeverMixTables) {
  // Table k says: [1000 k', ...) where every boundary has the same kind; a mix would show another.
  static TextTable table;  // its memory is never freed
  std::vector<TextTable::Boundary> even, odd;
  for (uintptr_t i = 0; i < 2000; ++i) {
    even.push_back({i * 16, i == 0 ? TextKind::kUnknown : TextKind::kPreemptible});
    odd.push_back({i * 8, i == 0 ? TextKind::kUnknown : TextKind::kOpaque});
  }
  table.Publish(even);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> bad{0}, unknown{0}, reads{0};
  std::thread reader([&] {
    std::minstd_rand random(1);
    while (!stop) {
      const TextKind kind = table.Find(16 + random() % (7000 * 2));
      if (kind == TextKind::kUnknown) ++unknown;  // overtaken four times
      if (kind != TextKind::kPreemptible && kind != TextKind::kOpaque &&
          kind != TextKind::kUnknown) {
        ++bad;
      }
      ++reads;
    }
  });
  for (int i = 0; i < 20000; ++i) table.Publish(i % 2 == 0 ? odd : even);
  stop = true;
  reader.join();
  EXPECT_EQ(bad, 0u);
  EXPECT_LT(unknown, reads / 10 + 100);
}

TEST(TextTableTest, FlattenLetsLaterRangesOverride) {
  const auto boundaries = TextTable::Flatten({{{100, 200}, TextKind::kOpaque},
                                              {{120, 180}, TextKind::kPreemptible},
                                              {{130, 140}, TextKind::kDenied},
                                              {{140, 150}, TextKind::kDenied},
                                              {{190, 260}, TextKind::kRuntime}});
  const std::vector<TextTable::Boundary> expected = {
      {0, TextKind::kUnknown},   {100, TextKind::kOpaque},      {120, TextKind::kPreemptible},
      {130, TextKind::kDenied},  {150, TextKind::kPreemptible}, {180, TextKind::kOpaque},
      {190, TextKind::kRuntime}, {260, TextKind::kUnknown}};
  EXPECT_EQ(boundaries, expected);
}

TEST(TextTableTest, FlattenAgreesWithPaintingByHand) {
  const unsigned seed = 20;
  std::minstd_rand random(seed);
  static TextTable table;
  for (int round = 0; round < 200; ++round) {
    std::vector<KindRange> ranges;
    std::vector<TextKind> painted(300, TextKind::kUnknown);
    for (int i = 0; i < 12; ++i) {
      const uintptr_t begin = 1 + random() % 250;
      const uintptr_t end = begin + 1 + random() % 40;
      const auto kind = static_cast<TextKind>(random() % 4);
      ranges.push_back({{begin, end}, kind});
      for (uintptr_t at = begin; at < end; ++at) painted[at] = kind;
    }
    table.Publish(TextTable::Flatten(ranges));
    for (uintptr_t at = 0; at < painted.size(); ++at) {
      ASSERT_EQ(table.Find(at), painted[at]) << "seed " << seed << " round " << round;
    }
  }
}

TEST(PolicyTest, Globs) {
  EXPECT_TRUE(MatchesGlob("*", ""));
  EXPECT_TRUE(MatchesGlob("a*b*c", "aXbXbYc"));
  EXPECT_FALSE(MatchesGlob("a*b*c", "aXbXbYcd"));
  EXPECT_TRUE(MatchesGlob("??", "ab"));
  EXPECT_FALSE(MatchesGlob("??", "a"));
  EXPECT_FALSE(MatchesGlob("", "a"));
}

TEST(PolicyTest, ModuleNames) {
  Module module;
  module.path = "/usr/lib/libz.so.1.2.13";
  module.soname = "libz.so.1";
  for (const char* name : {"libz", "libz.so", "libz.so.1", "libz.so.1.2", "libz.so.1.2.13",
                           "/usr/lib/libz.so.1.2.13"}) {
    EXPECT_TRUE(NamesModule(name, module)) << name;
  }
  for (const char* name : {"lib", "libz.so.2", "libz.so.1.", "libz.s", "z", ""}) {
    EXPECT_FALSE(NamesModule(name, module)) << name;
  }
}

TEST(PolicyTest, StandardLibraryNames) {
  for (const char* name : {"_ZNSt6locale5_InitEv", "_ZNKSt5ctypeIcE8do_widenEc", "_ZSt9terminatev",
                           "_ZN9__gnu_cxx9__freeresEv", "_ZThn16_NSdD1Ev", "_ZNSs6appendEPKc",
                           "_ZN10__cxxabiv117__class_type_infoD1Ev"}) {
    EXPECT_TRUE(IsStandardLibraryName(name)) << name;
  }
  for (const char* name :
       {"_ZN4user3fooESt6vectorIiE", "main", "_Z3fooSt6vector", "_ZThn8_N4user3fE"}) {
    EXPECT_FALSE(IsStandardLibraryName(name)) << name;
  }
  EXPECT_TRUE(IsDeniedByDefault("malloc.cold"));
  EXPECT_TRUE(IsDeniedByDefault("_ZnwmSt11align_val_t"));
  EXPECT_TRUE(IsDeniedByDefault("_ZN4absl12lts_202206235Mutex4LockEv"));
  EXPECT_FALSE(IsDeniedByDefault("_start"));
  EXPECT_FALSE(IsDeniedByDefault("mallocate"));
}

}  // namespace
}  // namespace urge::preempt

int main(int argc, char** argv) {
  setenv("URGE_PREEMPTIBLE", ":liblua5.4.so.0:libnothing.so.9:", 1);
  setenv("URGE_UNPREEMPTIBLE", "no_such;map_test::DeniedBy?nvironment", 1);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
