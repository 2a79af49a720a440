// The morestack cases, compiled by gcc.
// compiler: g++
// build: -Wno-psabi

#define URGE_CASES GccCases
#include "tests/asm/morestack_bodies.h"
