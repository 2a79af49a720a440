#!/bin/bash
# Sanitizers in users' programs that are built with g++.
exec "$(dirname "$0")/user.sh" g++
