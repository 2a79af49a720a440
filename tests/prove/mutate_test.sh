#!/usr/bin/env bash
# Proves the proof: plants one fault at a time in a copy of the assembly and demands that the
# single-step run fails.
#
# Run from the root, after prove_test was built in $URGE_BUILD_DIR. URGE_PROVE=full tries every
# mutant (about 80 s); otherwise every eighth, starting at URGE_TEST_SEED modulo 8 (default 0).
# CC and CXX choose the compilers. Prints one line a mutant; exits 1 if any survives or no longer
# applies. Faults of what this processor doesn't have (AMX's tiles) can't show, and are left out.
set -u
objects=${URGE_BUILD_DIR:?}/obj
out=$URGE_BUILD_DIR/tests/prove/mutants
others=()
for source in tests/prove/{prove_test.cc,stepper.cc,corpus_cxx.cc,corpus_runtime.cc,corpus_split.c,harness.S,corpus.S} \
  asm/x86_64/{entry,wrap_pthread,real_pthread}.S runtime/preempt/xstate.cc; do
  others+=("$objects/$source.o")
done
CC=${CC:-gcc}
CXX=${CXX:-g++}
stride=8
[ "${URGE_PROVE:-}" != full ] || stride=1
first=$((${URGE_TEST_SEED:-0} % stride))
unset URGE_PROVE
mkdir -p "$out"
asm=asm/x86_64
survivors=0
count=0
tried=0

assemble() { "$CC" -g -Wall -I. -c "$1" -o "$2"; }
for f in async_preempt switch morestack; do assemble $asm/$f.S "$out/$f.o" || exit 1; done

# mutant FILE NAME SED
mutant() {
  local file=$1 name=$2 expression=$3
  count=$((count + 1))
  (((count - 1) % stride == first)) || return 0
  if [[ $name =~ TILECFG|tiles ]] && ! grep -qw amx_tile /proc/cpuinfo; then
    echo "mutate: $file: $name: not tried, this processor has no AMX"
    return
  fi
  tried=$((tried + 1))
  sed -E "$expression" "$asm/$file.S" >"$out/mutant.S"
  if cmp -s "$asm/$file.S" "$out/mutant.S"; then
    echo "mutate: $file: $name: does not apply any more"
    survivors=$((survivors + 1))
    return
  fi
  local objects=()
  for f in async_preempt switch morestack; do
    [ $f = "$file" ] && objects+=("$out/mutant.o") || objects+=("$out/$f.o")
  done
  if ! assemble "$out/mutant.S" "$out/mutant.o" ||
    ! "$CXX" -o "$out/mutant" "${others[@]}" "${objects[@]}" -Wl,-z,now; then
    echo "mutate: $file: $name: does not build"
    survivors=$((survivors + 1))
    return
  fi
  local verdict
  if verdict=$( (timeout 60 "$out/mutant" >/dev/null) 2>&1); then
    echo "mutate: $file: $name: SURVIVED"
    survivors=$((survivors + 1))
  else
    echo "mutate: $file: $name: caught: $(echo "$verdict" | grep '^prove:' | tail -n 1 | cut -c 1-110)"
  fi
}

drop='leaq 8(%rsp), %rsp'

# State components left out of the save.
for c in 0x1:x87 0x2:SSE 0x4:AVX 0x20:opmask 0x40:ZMM_Hi256 0x80:Hi16_ZMM 0x20000:TILECFG; do
  mutant async_preempt "mask without ${c#*:}" "s/^(\tmovl\t%r9d, %eax)/\1; andl \$~${c%:*}, %eax/"
done
mutant async_preempt 'live tiles get no room' 's/^\taddl\turge_xstate\+URGE_XSTATE_TILE_BYTES.*//'
mutant async_preempt 'live tiles not saved' 's/^\tjnz\t\.Ltiles_live//'
mutant async_preempt 'header not cleared' 's/^\tmovq\t%rax, \(URGE_XSAVE_HEADER \+ 16\).*//'
mutant async_preempt 'area not aligned' 's/^\tandq\t\$-URGE_XSAVE_ALIGN, %rsp/\torq $8, %rsp/'
mutant async_preempt 'state not restored' 's/^\txrstor64.*//'
# Flags and the red zone.
mutant async_preempt '120 for 128 on return' 's/^\tret\t.*/\tret $120/'
mutant async_preempt '136 for 128 on return' 's/^\tret\t.*/\tret $136/'
mutant async_preempt 'no cld' 's/^\tcld//'
mutant async_preempt 'flags saved too late' 's/^\tpushfq$/\txorl %eax, %eax; pushfq/;s/^\tcld//'
mutant async_preempt 'flags not restored' "s/^(\t\.cfi_restore rbp)$/\1\n\t$drop\n\tjmp 9f/;s/^\tret\t/9:\tret\t/"
mutant async_preempt 'AC not cleared' 's/^\tjnz\t\.Lclear_flags//'
# General registers.
for r in rax rcx rdx rbx rsi rdi r8 r9 r10 r11 r12 r13 r14 r15; do
  mutant async_preempt "$r not restored" "s/^\tRESTORE\t$r$/\t$drop/"
done
mutant async_preempt 'rbp not restored' "s/^\tpopq\t%rbp/\t$drop/"
mutant async_preempt 'two registers swapped' 's/^\tRESTORE\tr15/\tRESTORE\tr14/;s/^\tRESTORE\tr14/\tRESTORE\tr15/'
# Control words for the runtime.
mutant async_preempt 'x87 not made default' 's/^\tfninit//'
mutant async_preempt 'MXCSR not made default' 's/^\tldmxcsr.*//'
# CFI.
mutant async_preempt 'not a signal frame' 's/urge_async_preempt, injected/urge_async_preempt, ordinary/'
mutant async_preempt 'CFI: CFA on entry' 's/^\t\.cfi_def_cfa rsp, -URGE_PREEMPT_PC/\t.cfi_def_cfa rsp, 128/'
mutant async_preempt 'CFI: push of flags' '0,/^\t\.cfi_adjust_cfa_offset 8/s///'
mutant async_preempt 'CFI: CFA stays on RSP' 's/^\t\.cfi_def_cfa rbp, -URGE_PREEMPT_RBP//'
for r in rax rcx rdx rbx rsi rdi r8 r9 r10 r11 r12 r13 r14 r15; do
  mutant async_preempt "CFI: $r not stated" "s/^\tSAVE\t$r, .*/\tpushq %$r/;s/^\t\.cfi_offset $r, .*//"
done
mutant async_preempt 'CFI: rsi and rdi exchanged' 's/^(\tSAVE\trsi, URGE_PREEMPT_)RSI/\1RDI/;s/^(\tSAVE\trdi, URGE_PREEMPT_)RDI/\1RSI/'
mutant async_preempt 'CFI: r15 still on the stack when popped' 's/^\tRESTORE\tr15/\tpopq %r15; movq $0, -8(%rsp)/'
mutant async_preempt 'CFI: CFA after rbp is restored' 's/^\t\.cfi_def_cfa rsp, -URGE_PREEMPT_RFLAGS//'
mutant async_preempt 'CFI: pop of flags' 's/^\t\.cfi_def_cfa_offset -URGE_PREEMPT_PC//'
# urge_switch.
for r in r15 r14 r13 r12 rbx rbp; do
  mutant switch "$r not restored" "s/^\tURGE_POP $r/\t$drop; .cfi_adjust_cfa_offset -8/"
  mutant switch "CFI: $r not stated" "s/^\tURGE_PUSH $r/\tpushq %$r; .cfi_adjust_cfa_offset 8/"
done
mutant switch 'CFI: control words' '0,/^\t\.cfi_adjust_cfa_offset URGE_CONTROL_BYTES/s///'
mutant switch 'MXCSR not compared' 's/^\tjnz\t\.Lload_mxcsr//'
mutant switch 'x87 control word not compared' 's/^\tjne\t\.Lload_fcw//'
mutant switch 'after not called' 's/^\tcall\t\*%rdx//'
mutant switch 'CFI: out-of-line part' 's/^\t\.cfi_def_cfa rsp, URGE_CONTEXT_BYTES//'
# __morestack.
for r in rdi rsi rdx rcx r8 r9; do
  mutant morestack "$r not restored" "0,/^\tmovq\tURGE_MORESTACK_${r^^}\(%rbp\), %$r/s///"
done
mutant morestack 'rax not restored' '/^\.Lno_runtime/{n;s/.*//}'
mutant morestack 'vector arguments not restored' 's/^\tRESTORE_VECTORS URGE_MORESTACK_ARG_MASK//'
mutant morestack 'va_start not seen' 's/^\tje\t\.Lmaybe_va_start//'
mutant morestack 'returns to the ret' 's/^\tincq\t%r10//'
mutant morestack 'alloca not extended' 's/^\tsubq\t%rdi, %rsp//'
mutant morestack 'CFI: frame' '0,/^\t\.cfi_def_cfa_register rbp/s///'
mutant morestack 'CFI: leave' '0,/^\t\.cfi_def_cfa rsp, 8/s///'
mutant morestack 'CFI: alloca' 's/^\t\.cfi_def_cfa rdx, 0//'

echo "mutate: $tried of $count mutants tried, $survivors not caught"
[ "$survivors" = 0 ]
