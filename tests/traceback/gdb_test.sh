#!/bin/bash
# scripts/urge_gdb.py on a live process and on its core dump: tests/programs/gdb_target.cc.  Prints
# GoogleTest's words, so that each command is counted.
set -u
program=$(realpath "$URGE_TEST_PROGRAMS/gdb_target")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/support/properties.sh

commands=(-ex 'info goroutines' -ex 'echo --\n' -ex 'goroutine 2 bt' -ex 'echo --\n'
  -ex 'goroutine all bt' -ex 'echo --\n' -ex 'info procs' -ex 'echo --\n' -ex 'info preempt'
  -ex 'echo --\n' -ex 'goroutine 99 bt' -ex 'echo --\n' -ex 'goroutine bt' -ex 'echo --\n'
  -ex 'goroutine 2 info registers rip' -ex 'echo --\n' -ex 'frame')

look() { # NAME ARGUMENT...: a transcript of the commands
  local name=$1
  shift
  gdb -nx -batch -ex 'set pagination off' -ex 'set width 0' -ex 'set confirm off' \
    -ex 'source scripts/urge_gdb.py' "$@" "${commands[@]}" > "$work/$name" 2>&1 < /dev/null
}

part() { awk -v n="$2" 'BEGIN { k = 1 } /^--$/ { ++k; next } k == n' "$work/$1"; }

matches() { # LOOK PART PATTERN...: each pattern is in a line of the part
  local look=$1 number=$2 pattern
  shift 2
  for pattern in "$@"; do
    part "$look" "$number" | grep -qE -- "$pattern" && continue
    echo "no line matches: $pattern"
    cat "$work/$look"
    return 1
  done
}

look live -ex run "$program"
# The kernel's own: gdb's generate-core-file leaves out stretches of memory with a guard page in them.
(ulimit -c unlimited && cd "$work" && "$program" > /dev/null 2>&1)
dumped=$(find "$work" -name 'core*' -size +0)
looks=(live)
if [[ -n $dumped ]]; then
  look from_core "$program" "$dumped"
  looks+=(from_core)
else
  echo "[  SKIPPED ] no core dump where $(< /proc/sys/kernel/core_pattern) says"
fi
for look in "${looks[@]}"; do
  property "InfoGoroutines ($look)" matches "$look" 1 '^\* +1  running ' '^ +2  chan receive +receiver +Receive at ' \
    '^ +3  runnable +spinner +.* at ' '^ +4  runnable +other spinner '
  property "BacktraceOfOne ($look)" matches "$look" 2 '^goroutine 2 \[chan receive\] receiver:' '^#0 ' '^#[0-9]+ .*urge::sched::Park' \
    '^#[0-9]+ .*\bReceive ' '^#[0-9]+ .*\burge_goexit '
  # A preempted one: through the injected frame to the loop.
  property "BacktraceOfAll ($look)" matches "$look" 3 '^goroutine 1 \[running\]' '^#[0-9]+ .*\bBreak \(' \
    '^goroutine 3 \[runnable\] spinner:' '^#[0-9]+ .*\bSpin \('
  property "InfoProcs ($look)" matches "$look" 4 '^procs 2, idle 0' '^P[01] running  M[0-9]+ thread [0-9]+  goroutine 1 '
  property "InfoPreempt ($look)" matches "$look" 5 '^M[0-9]+ thread [0-9]+  goroutine 1'
  property "WhereItWasCreated ($look)" matches "$look" 2 '^created by .* in goroutine 1'
  property "StubbornOne ($look)" matches "$look" 3 '^goroutine [0-9]+ \[running\] stubborn:' '^#[0-9]+ .*\bStayPut \('
  property "OneInASystemCall ($look)" matches "$look" 3 '^goroutine [0-9]+ \[syscall\] reader:' '^#[0-9]+ .*\bReadFrom \('
  property "RequestUnderWay ($look)" matches "$look" 5 'asked to stop \((slice|wakeup)\).* in no_preempt'
  property "NoSuchGoroutine ($look)" matches "$look" 6 'no goroutine 99'
  property "NoNumber ($look)" matches "$look" 7 'goroutine N COMMAND or goroutine all COMMAND'
  property "AnyCommand ($look)" matches "$look" 8 '^rip +0x'
  property "TheUsersFrameStays ($look)" matches "$look" 9 "^#0 "
done
strange() { gdb -nx -batch -ex 'source scripts/urge_gdb.py' -ex 'info goroutines' /bin/true 2>&1 | grep -q 'no urge in this program'; }
property ProgramWithoutUrge strange
report
