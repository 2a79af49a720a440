#!/bin/bash
# gdb unwinds through an injected call at every instruction of urge_async_preempt.  (libgcc's unwinder
# and the runtime's own are held to the same by tests/prove.)
set -eu -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
command -v gdb > /dev/null || { echo "no gdb"; exit 0; }
output=$(timeout 100 gdb -nx -batch -x "$here/gdb_unwind.py" "${URGE_TEST_PROGRAMS:?}/injected" 2>&1 < /dev/null) || true
[[ $output == *'unwound from each of'* ]] || { echo "$output"; exit 1; }
