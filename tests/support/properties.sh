# Sourced by tests that are scripts: their properties in GoogleTest's words, so that each is counted.
# Requires: $work, a folder for the log.
passed=0 failed=0

# property NAME COMMAND…: holds if the command succeeds; its output is shown if not.
property() {
  local name=$1
  shift
  echo "[ RUN      ] $name"
  if "$@" > "$work/log" 2>&1; then
    ((passed += 1))
    echo "[       OK ] $name"
  else
    ((failed += 1))
    echo "$*"
    cat "$work/log"
    echo "[  FAILED  ] $name"
  fi
}

# python_properties PREFIX SCRIPT: each property that the script lists, by the script.
python_properties() {
  export PYTHONDONTWRITEBYTECODE=1
  local name
  for name in $(python3 "$2" --list); do
    property "$1.$name" timeout 100 python3 "$2" "$name"
  done
}

# The sum, and the exit status of the test.
report() {
  ((passed == 0)) || echo "[  PASSED  ] $passed tests."
  ((failed == 0)) || echo "[  FAILED  ] $failed tests, listed below:"
  exit $((failed > 0))
}
