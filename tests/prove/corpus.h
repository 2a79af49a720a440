// corpus.h: the routines of the single-step proof.

#ifndef URGE_TESTS_PROVE_CORPUS_H_
#define URGE_TESTS_PROVE_CORPUS_H_

#include <cstdint>

extern "C" {

/// A routine computes the same digest from the same 4 KiB of scratch each time, and 0 if it finds a
/// fault itself.
using CorpusRoutine = std::uint64_t(void* scratch);

// corpus.S
CorpusRoutine corpus_red_zone, corpus_all_registers, corpus_direction, corpus_carry, corpus_stack;
CorpusRoutine corpus_odd_stack, corpus_alignment_check, corpus_x87, corpus_mmx, corpus_mxcsr;
CorpusRoutine corpus_sse, corpus_avx2, corpus_avx512, corpus_amx, corpus_bare_switch;

// corpus_cxx.cc
CorpusRoutine corpus_varargs, corpus_frames, corpus_throw, corpus_switch, corpus_control_words;

// corpus_runtime.cc
CorpusRoutine corpus_runtime;

// corpus_split.c, compiled with -fsplit-stack; the guard is poisoned while it runs.
CorpusRoutine corpus_split;

/// corpus_bare_switch's two saved stack pointers, its own and its partner's; corpus_cxx.cc prepares
/// the partner.
extern void* corpus_bare_sp[2];
void corpus_prepare_bare();
void corpus_bare_body(void*);
void corpus_published(void*);

}  // extern "C"

#endif  // URGE_TESTS_PROVE_CORPUS_H_
