#!/bin/bash
# URGE_DEBUG=schedtrace in Go's form; the properties are in schedtrace_test.py.
set -u
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/support/properties.sh
export PYTHONDONTWRITEBYTECODE=1
for name in $(python3 "$here/schedtrace_test.py" --list); do
  property "SchedTrace.$name" timeout 100 python3 "$here/schedtrace_test.py" "$name"
done
report
