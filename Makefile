# urge: build, run, test, install.  `make help` lists the goals.
#
# Everything is built out of tree, in build/<config>/ (-clang, -nozydis).  Sources are found by where they lie:
#
#   asm/ runtime/ sysmon/        the runtime: lib/liburge.a, lib/liburge.so
#   runtime/interpose/           stands in for functions of libc; lib/liburge-plain.* is without it
#   asm/x86_64/morestack*.S      the prologue hook: lib/liburge_split.a, linked into each
#   asm/x86_64/*_pthread.S         module that is compiled with -fsplit-stack
#   stress/<name>.cc             a stress program; stress/<name>/*.cc is one of several files
#   stress/common/*              linked into stress programs, benchmarks and tests/stress as needed
#   stress/bench/<name>.cc       a benchmark
#   tests/<dir>/<name>_test.cc   a GoogleTest binary, with its companions <name>_test_*.{cc,c,S};
#                                  other files of the folder are shared by all its tests
#   tests/<dir>/<name>_test.sh   a test that is a script
#   tests/programs/<name>.cc     a program that tests start, found through $URGE_TEST_PROGRAMS
#   tests/support/*              linked into all tests and test programs
#   README.md                    each ```cpp block with an int main is a test
#
# A source named *_split.cc or *_split.c is compiled with -fsplit-stack, and its program is linked
# with liburge_split.a.  A source says what else it needs in comments at the start of a line:
#
#   // build: -mavx512f          more flags for the compiler
#   // link: -lz                 more flags for the linker
#   // with: stress/common/a.cc  linked with these sources, too
#   // alone: asm/x86_64/switch.S  linked with these sources of the runtime instead of liburge.a
#   // plain: why             linked with liburge-plain.a
#   // compiler: clang++          compiled with this one, whatever CXX is
#   // needs: boost/fiber/all.hpp  headers without which the program is left out
#   // skip: asan tsan           configurations whose `make test` leaves this test out
#
# `scripts/repeat 10m -j 2 build/release/tests/chan/chan_test` runs one test again and again beside
# other load; `scripts/format` rewrites the sources as clang-format wants them.

# ---- Choices ------------------------------------------------------------------------------------

CONFIG ?= release#      release, debug, asan or tsan
PREFIX ?= /usr/local
ZYDIS ?= 1#             0 builds without the instruction decoder
ARGS ?=#                passed on by run, latency, stress, bench, prove and storm

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := g++
endif
LD := ld.bfd

VERSION := 0.1.0
SOVERSION := 0

# ---- Make itself --------------------------------------------------------------------------------

ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)# all processors, unless the command line says otherwise
endif
MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

# ---- Sources ------------------------------------------------------------------------------------

BUILD := build/$(strip $(CONFIG))$(if $(findstring clang,$(CXX)),-clang)$(if $(filter 0,$(ZYDIS)),-nozydis)
LIBDIR := $(BUILD)/lib

sources = $(sort $(foreach dir,$1,$(wildcard $(dir)/*.cc $(dir)/*.c $(dir)/*.S)))

SPLIT_SRC := $(wildcard asm/x86_64/morestack*.S asm/x86_64/*_pthread.S)
RUNTIME_SRC := $(filter-out $(SPLIT_SRC),$(call sources,asm asm/x86_64 runtime runtime/* sysmon))
STRESS_DIRS := $(filter-out stress/bench stress/common,$(patsubst %/,%,$(sort $(dir $(wildcard stress/*/*.cc)))))
STRESS_SRC := $(call sources,stress $(STRESS_DIRS))
COMMON_SRC := $(call sources,stress/common)
BENCH_SRC := $(call sources,stress/bench)
SUPPORT_SRC := $(call sources,tests/support)
PROGRAM_SRC := $(call sources,tests/programs)
TEST_DIRS := $(filter-out tests/support tests/programs,$(wildcard tests/*))
TEST_SRC := $(call sources,$(TEST_DIRS))
README_SRC := $(shell scripts/extract-readme README.md $(BUILD)/readme)
ALL_SRC := $(RUNTIME_SRC) $(SPLIT_SRC) $(STRESS_SRC) $(COMMON_SRC) $(BENCH_SRC) $(SUPPORT_SRC) \
           $(PROGRAM_SRC) $(TEST_SRC) $(README_SRC)

# What the sources say about themselves, as make variables: `build.<source> := -mavx512f`.
$(shell mkdir -p $(BUILD) && scripts/source-notes $(ALL_SRC) > $(BUILD)/notes.mk)
include $(BUILD)/notes.mk

# ---- Flags --------------------------------------------------------------------------------------

optimise.release := -O2
optimise.debug := -O1 -DURGE_DEBUG_CHECKS
optimise.asan := -O1 -fno-omit-frame-pointer -fsanitize=address
optimise.tsan := -O1 -fno-omit-frame-pointer -fsanitize=thread $(if $(findstring clang,$(CXX)),,-Wno-tsan)
OPTIMISE := $(or $(optimise.$(strip $(CONFIG))),$(error CONFIG is release, debug, asan or tsan))

pkg = $(shell pkg-config $1 2>/dev/null)
ABSL := absl_base absl_strings absl_synchronization absl_flat_hash_map absl_symbolize absl_stacktrace
ABSL_FLAGS := absl_flags absl_flags_parse

SANITIZE := $(filter -fsanitize=%,$(OPTIMISE))
NO_UNDEFINED := $(if $(SANITIZE),,-Wl,--no-undefined)# clang's sanitizers leave theirs to the program

# CPPFLAGS, CFLAGS, CXXFLAGS and LDFLAGS are the user's, and come last.
PREPROCESS := -Iruntime/include -I. $(if $(filter 1,$(ZYDIS)),-DURGE_HAVE_ZYDIS=1) -MMD -MP $(CPPFLAGS)
COMMON := -g -Wall -Wextra -fasynchronous-unwind-tables -fvisibility=hidden $(OPTIMISE)
COMPILE.S = $(CC) $(PREPROCESS) -g
COMPILE.c = $(or $(compiler.$<),$(CC)) $(PREPROCESS) -std=gnu11 $(COMMON) $(CFLAGS)
COMPILE.cc = $(or $(compiler.$<),$(CXX)) $(PREPROCESS) -std=c++20 $(COMMON) $(CXXFLAGS)
LINK.cc = $(CXX) $(SANITIZE) $(LDFLAGS)
RUNTIME_FLAGS := -fPIC -fno-plt
# Unique symbols outside a COMDAT group clash with a user's; clang never makes any.
RUNTIME_FLAGS.cc := $(if $(findstring clang,$(CXX)),,-fno-gnu-unique)
PROGRAM_FLAGS := -fPIE

# libgcc_s comes before libunwind, which has _Unwind_* functions of its own: they take a lock and
# block signals, and exceptions must not go through them.
URGE_LIBS = -Wl,--push-state,--no-as-needed -lgcc_s -Wl,--as-needed -lunwind $(if $(filter 1,$(ZYDIS)),-lZydis) \
            $(call pkg,--libs $(ABSL)) -lpthread -ldl -Wl,--pop-state
LIBS.stress = -Wl,--as-needed $(call pkg,--libs $(ABSL_FLAGS))
LIBS.bench = -Wl,--as-needed -lbenchmark $(call pkg,--libs $(ABSL_FLAGS))
LIBS.programs = -Wl,--as-needed
LIBS.readme = -Wl,--as-needed
LIBS.tests = -lgmock -lgtest
LIBS.tests.main = -lgtest_main

# ---- Objects ------------------------------------------------------------------------------------

object = $(patsubst %,$(BUILD)/obj/%.o,$1)
flags = $(if $(filter asm/% runtime/% sysmon/%,$1),$(RUNTIME_FLAGS) $(RUNTIME_FLAGS$(suffix $1)),$(PROGRAM_FLAGS)) \
        $(if $(filter %_split.cc %_split.c,$1),-fsplit-stack) $(build.$1)

# The flags and the sources of the last build: when these have changed, objects or libraries are
# older than the files that record them.
record = $(if $(call differ,$(strip $2),$(strip $(file < $1))),$(file > $1,$2))
differ = $(if $(and $(findstring x$1x,x$2x),$(findstring x$2x,x$1x)),,yes)
FLAGS := $(COMPILE.S) $(COMPILE.c) $(COMPILE.cc) $(LINK.cc) $(RUNTIME_FLAGS) $(RUNTIME_FLAGS.cc) $(PROGRAM_FLAGS)
$(call record,$(BUILD)/flags,$(FLAGS))
$(call record,$(BUILD)/sources,$(ALL_SRC))

# Whatever is built first on a new machine sees to the packages first.
$(BUILD)/packages: scripts/setup
	@scripts/setup build
	@touch $@

$(BUILD)/obj/%.cc.o: %.cc $(BUILD)/flags | $(BUILD)/packages
	@mkdir -p $(@D); echo "  CXX   $<"
	@$(COMPILE.cc) $(call flags,$<) -c $< -o $@

$(BUILD)/obj/%.c.o: %.c $(BUILD)/flags | $(BUILD)/packages
	@mkdir -p $(@D); echo "  CC    $<"
	@$(COMPILE.c) $(call flags,$<) -c $< -o $@

$(BUILD)/obj/%.S.o: %.S $(BUILD)/flags | $(BUILD)/packages
	@mkdir -p $(@D); echo "  AS    $<"
	@$(COMPILE.S) $(build.$<) -c $< -o $@

-include $(patsubst %.o,%.d,$(call object,$(ALL_SRC)))

# ---- Libraries ----------------------------------------------------------------------------------
# The runtime is one relocatable object whose code is one section, urge_text: see scripts/runtime.ld.

STATIC := $(LIBDIR)/liburge.a
PLAIN_STATIC := $(LIBDIR)/liburge-plain.a
SHARED := $(LIBDIR)/liburge.so.$(VERSION)
PLAIN_SHARED := $(LIBDIR)/liburge-plain.so.$(VERSION)
SPLIT := $(LIBDIR)/liburge_split.a
LIBRARIES := $(STATIC) $(SHARED) $(PLAIN_STATIC) $(PLAIN_SHARED) $(SPLIT) $(LIBDIR)/split-checked

# Sanitizers stand in for the same functions of libc, and have to.
INTERPOSE_SRC := $(if $(SANITIZE),,$(filter runtime/interpose/%,$(RUNTIME_SRC)))
PLAIN_SRC := $(filter-out runtime/interpose/%,$(RUNTIME_SRC))
$(LIBDIR)/urge.o: $(call object,$(PLAIN_SRC) $(INTERPOSE_SRC))
$(LIBDIR)/urge-plain.o: $(call object,$(PLAIN_SRC))
$(LIBDIR)/urge.o $(LIBDIR)/urge-plain.o: $(BUILD)/sources scripts/runtime.ld scripts/link-runtime
	@mkdir -p $(@D); echo "  LD    $@"
	@LD=$(LD) scripts/link-runtime $@ $(filter %.o,$^)
	@scripts/check-runtime-text $@

$(STATIC) $(PLAIN_STATIC): $(LIBDIR)/lib%.a: $(LIBDIR)/%.o
	@echo "  AR    $@"
	@rm -f $@; $(AR) rcs $@ $^

# __real_pthread_create exists only in a link with --wrap=pthread_create.  It is weak, so that a link
# may ask for this archive's __wrap_pthread_create in either case, before libgcc's is found.
SPLIT_OBJCOPY := --rename-section .text=urge_text --weaken-symbol=__real_pthread_create
$(SPLIT): $(call object,$(SPLIT_SRC)) $(BUILD)/sources
	@mkdir -p $(@D); echo "  AR    $@"
	@for object in $(filter %.o,$^); do objcopy $(SPLIT_OBJCOPY) $$object; done
	@rm -f $@; $(AR) rcs $@ $(filter %.o,$^)

$(SHARED) $(PLAIN_SHARED): $(LIBDIR)/lib%.so.$(VERSION): $(LIBDIR)/%.o scripts/exports
	@echo "  LD    $@"
	@scripts/exports $< > $<.map
	@$(LINK.cc) -shared -Wl,-soname,lib$*.so.$(SOVERSION) $(NO_UNDEFINED) \
	  -Wl,--version-script=$<.map -o $@ $< $(URGE_LIBS)
	@ln -sf $(@F) $(LIBDIR)/lib$*.so.$(SOVERSION); ln -sf $(@F) $(LIBDIR)/lib$*.so

$(LIBDIR)/split-checked: $(SPLIT) $(STATIC) scripts/check-split-link
	@echo "  CHECK $<"
	@$(if $(SPLIT_SRC),scripts/check-split-link $(SPLIT) $(STATIC) $(SANITIZE);) touch $@

# ---- Programs -----------------------------------------------------------------------------------

# $(call program,BINARY,KIND,SOURCES): one program of <KIND>_BINARIES, linked with LIBS.<KIND>.
define program
$(if $(call notes,missing,$3),LEFT_OUT,$2_BINARIES) += $1
$1: $(call object,$3 $(call notes,with,$3)) $(if $(uses_common),$(STRESS_COMMON)) \
    $(if $(uses_common)$(filter %_split.cc %_split.c,$3),$(SPLIT)) $(runtime_objects)
	@mkdir -p $$(@D); echo "  LINK  $$@"
	@$$(LINK.cc) -o $$@ $$^ $$(LIBS.$2) $(call notes,link,$3 $(if $(uses_common),$(COMMON_SRC))) \
	  $(if $(call notes,main,$3),,$$(LIBS.$2.main)) $$(URGE_LIBS)

endef
notes = $(strip $(foreach source,$2,$($1.$(source))))
runtime_objects = $(if $(call notes,alone,$3),$(call object,$(call notes,alone,$3)),$(if $(call notes,plain,$3),$(PLAIN_STATIC),$(STATIC)))
uses_common = $(filter stress/% tests/stress/%,$3)

STRESS_COMMON := $(BUILD)/stress/common.a
$(STRESS_COMMON): $(call object,$(COMMON_SRC))
	@mkdir -p $(@D); echo "  AR    $@"
	@rm -f $@; $(AR) rcs $@ $^

# The sources of tests/<dir>/<name>_test.cc: itself, its companions, what its folder shares, support.
TESTS := $(filter %_test.cc,$(TEST_SRC))
OF_ONE_TEST := $(foreach test,$(TESTS),$(test) $(basename $(test))_%)
SHARED_BY_TESTS := $(SUPPORT_SRC) $(filter-out $(OF_ONE_TEST),$(TEST_SRC))
test_sources = $1 $(filter $(basename $1)_%,$(TEST_SRC)) $(filter $(dir $1)% tests/support/%,$(SHARED_BY_TESTS))

$(foreach src,$(wildcard stress/*.cc),\
  $(eval $(call program,$(BUILD)/$(basename $(src)),stress,$(src))))
$(foreach dir,$(STRESS_DIRS),\
  $(eval $(call program,$(BUILD)/$(dir),stress,$(call sources,$(dir)))))
$(foreach src,$(filter %.cc,$(BENCH_SRC)),\
  $(eval $(call program,$(BUILD)/bench/$(basename $(notdir $(src))),bench,$(src))))
$(foreach src,$(PROGRAM_SRC),\
  $(eval $(call program,$(BUILD)/$(basename $(src)),programs,$(src) $(SUPPORT_SRC))))
$(foreach src,$(README_SRC),\
  $(eval $(call program,$(basename $(src)),readme,$(src))))
$(foreach src,$(TESTS),\
  $(eval $(call program,$(BUILD)/$(basename $(src)),tests,$(call test_sources,$(src)))))

# ---- Goals --------------------------------------------------------------------------------------

.PHONY: all libs programs run latency test stress bench prove storm asan tsan check install uninstall clean help

all: libs programs ## build the libraries and the stress programs (the default)
libs: $(LIBRARIES) ## the libraries alone
programs: $(stress_BINARIES) ## the stress programs alone

run: ## set up, build, and run the main job: fairness and preemption latency (ARGS="…")
	@scripts/setup run
	@$(MAKE) $(BUILD)/stress/fairness
	@$(BUILD)/stress/fairness $(ARGS)

latency: ## set up, build, and run the preemption latency laboratory (ARGS="…"; ARGS=--help)
	@scripts/setup latency
	@$(MAKE) $(BUILD)/stress/latency
	@$(BUILD)/stress/latency $(ARGS)

test: ## set up, build and run every test (ARGS: names of tests, all when empty)
	@scripts/setup test
	@$(MAKE) test-built

stress: programs ## run every stress program in turn with ARGS
	@for program in $(stress_BINARIES); do echo "== $$program"; $$program $(ARGS); done

bench: ## set up, build and run the benchmarks, beside Go, Boost.Fiber and threads (ARGS=--no-peers)
	@scripts/setup bench
	@$(MAKE) bench-built

prove: ## single-step proof: preempt at every instruction boundary of the whole corpus
	@scripts/setup test
	@$(MAKE) prove-built

storm: $(BUILD)/stress/storm ## preemption storms with canaries, 100 million in all; goes on where it stopped (ARGS="--duration=… --seed=…": one storm)
	@$(if $(ARGS),$< $(ARGS),stress/storm/campaign $< $(BUILD)/storm.state)

asan: ## every test but those that say why not, under AddressSanitizer (ARGS: names of tests)
	@$(MAKE) test CONFIG=asan

tsan: ## the same under ThreadSanitizer
	@$(MAKE) test CONFIG=tsan

check: ## format, layers, lints, public headers, the runtime's text
	@scripts/setup check
	@$(MAKE) check-built

clean: ## remove build/
	rm -rf build

help: ## this list
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 18
	@echo; sed -nE '/^# Everything is built/,/^$$/s/^# ?//p' Makefile
	@echo "Variables: CONFIG=release|debug|asan|tsan  CXX=  CC=  PREFIX=  DESTDIR=  ZYDIS=0  ARGS="

# The second halves, reached when set-up is done.
.PHONY: test-built bench-built prove-built check-built

export URGE_TEST_PROGRAMS := $(abspath $(BUILD)/tests/programs)
export URGE_BUILD_DIR := $(abspath $(BUILD))# where tests of whole programs find these
suitable = $(foreach test,$(tests_BINARIES),$(if $(filter $(CONFIG),$(skip.$(test:$(BUILD)/%=%.cc))),,$(test)))
# README's loops without calls need signals, which preempt nobody under ThreadSanitizer.
every_test = $(suitable) $(if $(filter tsan,$(CONFIG)),,$(readme_BINARIES)) $(if $(filter release,$(CONFIG)),$(wildcard tests/*/*_test.sh))
chosen = $(filter $(foreach name,$(ARGS),%/$(name) %/$(name)_test %/$(name)_test.sh),$(every_test))

everything_tested = $(tests_BINARIES) $(readme_BINARIES) $(stress_BINARIES)
needs_programs = $(if $(and $(ARGS),$(SANITIZE)),,$(programs_BINARIES))
test-built: $(if $(ARGS),$(filter-out %.sh,$(chosen)),$(everything_tested)) $(needs_programs) libs
	@scripts/run-tests $(if $(ARGS),$(chosen),$(every_test))

bench-built: $(bench_BINARIES)
	@for program in $(LEFT_OUT); do echo "left out, for want of a header: $$program"; done
	@stress/bench/run $(ARGS) $(BUILD) $^

prove-built: $(filter $(BUILD)/tests/prove/%,$(tests_BINARIES)) $(programs_BINARIES)
	@URGE_PROVE=full URGE_TEST_TIMEOUT=600 scripts/run-tests $(filter $(BUILD)/tests/prove/%,$^) $(wildcard tests/prove/*_test.sh)

check-built: libs
	@scripts/check-style
	@scripts/check-layers
	@scripts/check-headers
	@scripts/check-exports $(SHARED)
	@scripts/check-contract

# ---- Installation -------------------------------------------------------------------------------

# Packages say where they lie relative to their own files, so an installed tree may be moved.

install: libs ## install headers, libraries, urge-top, pkg-config and CMake packages (PREFIX=, DESTDIR=)
	@scripts/install "$(DESTDIR)" "$(PREFIX)" "$(VERSION)" "$(LIBDIR)" "$(call pkg,--libs $(ABSL))"

uninstall: ## remove what install put there (PREFIX=, DESTDIR=)
	@scripts/uninstall "$(DESTDIR)" "$(PREFIX)"
