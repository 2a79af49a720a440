#!/bin/bash
# scripts/top against a running process; the properties are in top_test.py.
set -u
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/support/properties.sh
export PYTHONDONTWRITEBYTECODE=1
for name in $(python3 "$here/top_test.py" --list); do
  property "Top.$name" timeout 100 python3 "$here/top_test.py" "$name"
done
report
