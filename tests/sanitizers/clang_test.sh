#!/bin/bash
# Sanitizers in users' programs that are built with clang++.
exec "$(dirname "$0")/user.sh" clang++
