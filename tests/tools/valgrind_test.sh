#!/bin/bash
# The core of the runtime's tests under Valgrind's Memcheck: no report, and they pass.  Valgrind runs
# one thread at a time, some 30 times slower, so it gets the tests that don't measure time; and it
# keeps one current stack for all threads, so on several processors it rarely takes a frame of a
# goroutine's for a switch.  Prints GoogleTest's words, so that each is counted.
set -u
tests=${URGE_BUILD_DIR:?}/tests
command -v valgrind > /dev/null || { echo "no valgrind"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/support/properties.sh

clean() { # TEST FILTER
  property "Valgrind.$1" timeout 100 valgrind -q --fair-sched=yes --error-exitcode=9 "$tests/$1" \
    --gtest_filter="$2" < /dev/null
}

# Valgrind's x87 has no precision control.
clean asm/switch_test '-*ControlWords*'
clean chan/chan_test '*1procs'
clean chan/element_test '*1procs'
clean sync/wait_group_test '*1procs'
clean sched/goroutine_test '*Exceptions*1procs:*MoveOnly*1procs:*NamesStacks*1procs'
clean preempt/preempt_test '*ACallFreeLoopIsStoppedBySignal'

report
