#!/bin/bash
# A short storm of each sort passes, prints its seed, and wrong arguments are refused.
set -eu -o pipefail
storm=${URGE_BUILD_DIR:?}/stress/storm

for arguments in '--procs=2 --slice=50us' '--procs=1 --slice=20us' '--procs=8 --slice=100us' \
  '--by=prologue --procs=2' '--by=signal --procs=1 --slice=30us'; do
  read -ra words <<< "$arguments"
  "$storm" --duration=1s "${words[@]}"
done
output=$("$storm" --preemptions=2000 --seed=7)
[[ $output == *'seed 7,'* && $output == *PASS ]] || { echo "$output"; exit 1; }

for wrong in --slice=1ns --procs=0 --duration=never --frobnicate; do
  status=0
  "$storm" "$wrong" 2> /dev/null || status=$?
  ((status == 2)) || { echo "$wrong: status $status instead of 2"; exit 1; }
done

# A campaign goes on where it was stopped.
state=$(mktemp)
trap 'rm -f "$state"' EXIT
export URGE_STORM_LEG=1000
stress/storm/campaign "$storm" "$state" 1000
[[ $(wc -l < "$state") == 1 ]] || { cat "$state"; exit 1; }
behind=$(awk '{ print $1 + $2 }' "$state")
output=$(stress/storm/campaign "$storm" "$state" $((behind + 1)))
[[ $output == *'in 1 legs'*'in 2 legs'* && $(tail -n 1 "$state") == *--seed=2* ]] || { echo "$output"; exit 1; }
