#!/bin/bash
# Installs to a new prefix, moves it, and builds and runs a program outside the tree by each way of
# linking.  Prints GoogleTest's words, so that each way is counted.
set -u
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. tests/support/properties.sh

builds_and_runs() { # COMPILER PKG_CONFIG_ARGUMENT…
  local compiler=$1 flags
  shift
  flags=$(pkg-config --cflags --libs "$@") || return
  # shellcheck disable=SC2086
  (cd "$work" && "$compiler" -std=c++20 -O1 program.cc $flags -o program && timeout 60 ./program)
}

cmake_builds_and_runs() {
  cmake -S "$work" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/moved" &&
    cmake --build "$work/cmake" || return
  for program in "$work"/cmake/with_*; do timeout 60 "$program" || return; done
}

one_library_only() { # what PACKAGE links is static or shared, as its name says
  builds_and_runs g++ "$1" && readelf -d "$work/program" | grep -c 'NEEDED.*liburge' | grep -qx "$2"
}

leaves_libc_alone() { # with the variant, and only with it, the program reads with libc's own read
  builds_and_runs g++ urge-static && nm -D --defined-only "$work/program" | grep -qw read || return
  for package in urge urge-static; do
    builds_and_runs g++ --define-variable=variant=-plain $package &&
      ! nm -D --defined-only "$work/program" | grep -w read || return
  done
}

nothing_is_left() { make -C "$here/../.." uninstall PREFIX="$work/moved" && ! find "$work/moved" -type f | grep .; }

cp "$here"/{program.cc,CMakeLists.txt} "$work"
property Install.Installs make -C "$here/../.." install PREFIX="$work/prefix"
mv "$work/prefix" "$work/moved" || exit 1
export PKG_CONFIG_PATH=$work/moved/lib/pkgconfig
for compiler in g++ clang++; do
  command -v $compiler > /dev/null || continue
  for package in urge urge-split urge-static urge-split-static; do
    property "Install.BuildsWith.$compiler.$package" builds_and_runs $compiler $package
  done
done
property Install.AcceptsPkgConfigStatic builds_and_runs g++ --static urge
property Install.TheVariantIsPlain leaves_libc_alone
property Install.SharedPackageLinksTheSharedLibrary one_library_only urge 1
property Install.StaticPackageLinksNoSharedLibrary one_library_only urge-static 0
if command -v cmake > /dev/null; then property Install.BuildsWithCMake cmake_builds_and_runs; fi
property Install.UninstallLeavesNothing nothing_is_left

report
