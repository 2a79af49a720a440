#!/bin/bash
# URGE_DEBUG=schedtrace in Go's form; the properties are in schedtrace_test.py.
set -u
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/support/properties.sh
python_properties SchedTrace "$here/schedtrace_test.py"
report
