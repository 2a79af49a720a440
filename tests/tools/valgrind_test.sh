#!/bin/bash
# The core of the runtime's tests under Valgrind's Memcheck: no report, and they pass.  Valgrind runs
# one thread at a time, some 30 times slower, so it gets the tests that don't measure time.  Prints
# GoogleTest's words, so that each is counted.
set -u
tests=${URGE_BUILD_DIR:?}/tests
command -v valgrind > /dev/null || { echo "no valgrind"; exit 0; }
passed=0 failed=0

clean() { # TEST FILTER
  echo "[ RUN      ] Valgrind.$1"
  local output
  if output=$(timeout 100 valgrind -q --fair-sched=yes --error-exitcode=9 "$tests/$1" --gtest_filter="$2" 2>&1 < /dev/null); then
    ((passed += 1))
    echo "[       OK ] Valgrind.$1"
  else
    ((failed += 1))
    echo "$output"
    echo "[  FAILED  ] Valgrind.$1"
  fi
}

# Valgrind's x87 has no precision control.
clean asm/switch_test '-*ControlWords*'
clean chan/chan_test '*2procs'
clean chan/element_test '*2procs'
clean sync/wait_group_test '*2procs'
clean sched/goroutine_test '*Exceptions*2procs:*MoveOnly*2procs:*NamesStacks*2procs'
clean preempt/preempt_test '*ACallFreeLoopIsStoppedBySignal'

((passed == 0)) || echo "[  PASSED  ] $passed tests."
((failed == 0)) || echo "[  FAILED  ] $failed tests, listed below:"
exit $((failed > 0))
