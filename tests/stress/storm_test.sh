#!/bin/bash
# A short storm of each sort passes, is reproducible by its seed, and wrong arguments are refused.
set -eu -o pipefail
storm=${URGE_BUILD_DIR:?}/stress/storm

for arguments in '--procs=2 --slice=50us' '--procs=1 --slice=20us' '--procs=8 --slice=100us'; do
  # shellcheck disable=SC2086
  "$storm" --duration=1s $arguments | tee /dev/stderr | tail -n 1 | grep -qx PASS
done
"$storm" --duration=10ms --seed=7 | grep -q 'seed 7,' || true # too short to pass for sure
"$storm" --preemptions=500 --seed=7 | grep -q 'seed 7,'

for wrong in --slice=1us --procs=0 --duration=never --frobnicate; do
  status=0
  "$storm" $wrong 2> /dev/null || status=$?
  ((status == 2)) || { echo "$wrong: status $status instead of 2"; exit 1; }
done
