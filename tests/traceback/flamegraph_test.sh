#!/bin/bash
# scripts/flamegraph: an SVG of what a profile holds, and clear errors.  Prints GoogleTest's words, so
# that each property is counted.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/support/properties.sh

cat > "$work/folded" << 'EOF'
worker;{request: 17};goroutine 9;Serve();Parse<&>() 42
worker;{request: 17};goroutine 10;Serve();Parse<&>() 8
(scheduler);urge::sched::Pick() 50
EOF

draws() { scripts/flamegraph "$work/folded" > "$work/svg"; }
well_formed() { python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$work/svg"; }
adds_up_over_ids() { grep -qF '<title>Parse&lt;&amp;&gt;(): 50 samples, 50.00 %</title>' "$work/svg"; }
keeps_ids() {
  scripts/flamegraph --ids "$work/folded" > "$work/ids"
  grep -qF '<title>goroutine 9: 42 samples' "$work/ids" && ! grep -qF 'goroutine 9:' "$work/svg"
}
chooses() { scripts/flamegraph --only 'sched::' < "$work/folded" | grep -qF '<title>all: 50 samples'; }
of_nothing() { scripts/flamegraph < /dev/null | grep -qF 'no samples'; }
refuses() {
  echo "Serve() many" > "$work/bad"
  ! scripts/flamegraph "$work/bad" > /dev/null 2> "$work/err" && grep -qF 'bad:1: not a stack and a count: Serve() many' "$work/err"
}
# Boxes of one row don't overlap, and lie over their callers.
nests() {
  sed -nE 's/.*data-x="([0-9.]+)" data-w="([0-9.]+)" data-level="([0-9]+)".*/\3 \1 \2/p' "$work/svg" | sort -n -k1,1 -k2,2 |
    awk '$1 == level && $2 < end - 0.01 { bad = 1 } { level = $1; end = $2 + $3; ++boxes } END { exit bad || boxes < 6 }'
}
profile() {
  URGE_DEBUG=profile="$work/real" "$URGE_TEST_PROGRAMS/profiled" &&
    scripts/flamegraph "$work/real" | grep -q '<title>Much(): [0-9]* samples'
}

property DrawsAProfile draws
property IsWellFormed well_formed
property AddsUpOverGoroutines adds_up_over_ids
property ShowsIdsWhenAsked keeps_ids
property ShowsOnlyWhatMatches chooses
property NoSamplesAreNoError of_nothing
property RefusesWhatIsNoProfile refuses
property BoxesNest nests
property DrawsWhatARealProgramWrote profile
report
