// layout.h: constants that the proof's assembly and C++ share.

#ifndef URGE_TESTS_PROVE_LAYOUT_H_
#define URGE_TESTS_PROVE_LAYOUT_H_

// Which register files the park double ruins (prove_ruin).
#define PROVE_RUIN_AVX 1
#define PROVE_RUIN_AVX512 2
#define PROVE_RUIN_TILES 4
// CF PF AF ZF SF DF OF and the bit that is always one.
#define PROVE_BAD_RFLAGS 0xcd7

// prove_call calls the routine with this + its DWARF number in each callee-saved register but RBP.
#define PROVE_CALLEE_SAVED 0x15eed000

#endif  // URGE_TESTS_PROVE_LAYOUT_H_
