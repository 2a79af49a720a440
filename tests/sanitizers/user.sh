#!/bin/bash
# user.sh COMPILER: a user's program, built with each sanitizer and linked with the ordinary liburge:
# what is right is not reported, what is wrong is.  Prints GoogleTest's words, so that each case is
# counted.
set -u
compiler=$1
command -v "$compiler" > /dev/null || { echo "no $compiler"; exit 0; }
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/support/properties.sh

builds() { # PROGRAM COMPILER PACKAGE FLAG…
  local program=$1 compiler=$2 flags
  flags=$(pkg-config --cflags --libs "$3") || return
  shift 3
  # shellcheck disable=SC2086
  "$compiler" -std=c++20 -O1 -g -Wall -Wextra "$@" "$here/user.cc" $flags -o "$work/$program"
}

is_silent() { # PROGRAM MODE
  local output
  output=$(timeout 50 "$work/$1" "$2" 2>&1)
  local status=$?
  echo "$output"
  ((status == 0)) && [[ $output == *done && $output != *Sanitizer* ]]
}

reports() { # PROGRAM MODE WORDS
  local output
  output=$(timeout 50 "$work/$1" "$2" 2>&1)
  local status=$?
  echo "$output"
  # In the user's code, of which the report knows the line.
  ((status != 0)) && [[ $output == *"Sanitizer: "$3*user.cc:* ]]
}

is_never_signalled() { # PROGRAM MODE
  is_silent "$@" && [[ $(timeout 50 "$work/$1" "$2") == *"by signal: 0"* ]]
}

make -C "$root" install PREFIX="$work/prefix" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
export PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig
for package in urge-split urge-static; do
  flags=()
  [[ $package != urge-split ]] || flags=(-fsplit-stack)
  name=$compiler.$package

  export ASAN_OPTIONS=detect_stack_use_after_return=1
  property "Address.Builds.$name" builds asan $compiler $package -fsanitize=address "${flags[@]}"
  property "Address.GoodIsSilent.$name" is_silent asan good
  property "Address.SharesAProcessor.$name" is_silent asan share
  for fault in stack-buffer-overflow heap-use-after-free stack-use-after-return; do
    property "Address.Finds.$fault.$name" reports asan $fault $fault
  done
  export ASAN_OPTIONS=detect_stack_use_after_return=0
  property "Address.GoodIsSilentOnRealFrames.$name" is_silent asan good
  property "Leak.WhatAGoroutineKeepsIsNone.$name" is_silent asan keep
  property "Leak.Finds.$name" reports asan leak "detected memory leaks"

  property "Thread.Builds.$name" builds tsan $compiler $package -fsanitize=thread "${flags[@]}"
  property "Thread.GoodIsSilent.$name" is_never_signalled tsan good
  [[ $package != urge-split ]] || property "Thread.SharesAProcessor.$name" is_silent tsan share
  property "Thread.FindsARaceOnOneProcessor.$name" reports tsan race "data race"
done

report
