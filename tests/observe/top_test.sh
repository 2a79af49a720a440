#!/bin/bash
# scripts/top against a running process; the properties are in top_test.py.
set -u
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/support/properties.sh
python_properties Top "$here/top_test.py"
report
