#!/bin/bash
# The preemption map of programs linked in other ways: tests/programs/linked_policy.cc with a static
# C++ runtime, with everything static, and each of them stripped.  Prints GoogleTest's words, so
# that each way is counted.
set -u
program=$URGE_TEST_PROGRAMS/linked_policy
objects=${URGE_TEST_PROGRAMS%/tests/programs}/obj
sources=$objects/tests/programs/linked_policy.cc.o
cxx=${CXX:-g++}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/support/properties.sh

# Debian has no static Zydis.
"$cxx" -std=c++20 -O2 -I. -c runtime/preempt/code_scan.cc -o "$work/code_scan.o"

answers_after_link() { # PROGRAM ANSWERS LINKER_ARGUMENT...
  local out=$work/$1 answers=$2
  shift 2
  "$cxx" "$sources" "$objects"/runtime/preempt/{cfa_program,cfi,dwarf_expression,eh_frame,elf_file}.cc.o \
    "$objects"/runtime/preempt/{call_targets,dl,map,module_text,modules,policy,published_words,table,withdrawal}.cc.o \
    "$objects"/runtime/base/{check,os,print}.cc.o "$work/code_scan.o" "$@" -o "$out" && "$out" "$answers"
}

warns_when_stripped() { # PROGRAM
  strip -o "$work/$1.stripped" "$work/$1" &&
    "$work/$1.stripped" opaque 2> "$work/warning" && [[ $(wc -l < "$work/warning") == 1 ]]
}

property Shared "$program" shared
property StaticCxxRuntime answers_after_link static_cxx static-libstdc++ -static-libstdc++ -static-libgcc
property StaticCxxRuntimeStripped warns_when_stripped static_cxx
property Static answers_after_link static static -static
property StaticStripped warns_when_stripped static
report
