// The morestack cases, compiled by clang.
// compiler: clang++
// build: -Wno-psabi

#define URGE_CASES ClangCases
#include "tests/asm/morestack_bodies.h"
