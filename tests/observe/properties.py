"""What tests/observe/*_test.py have in common: they are told by name which property to check."""

import contextlib
import os
import socket
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = os.environ.get("URGE_TEST_PROGRAMS", os.path.join(ROOT, "build/release/tests/programs"))

_properties = {}


def holds(function):
    """A property: a function without arguments that raises if it doesn't hold."""
    _properties[function.__name__] = function
    return function


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(_properties))
    else:
        _properties[sys.argv[1]]()


def environment(**more):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("URGE_")}
    return {**clean, **more}


@contextlib.contextmanager
def running(*command, stderr=None, **variables):
    """One of tests/programs that prints a line when it is ready, and ends when its stdin does."""
    process = subprocess.Popen([os.path.join(PROGRAMS, command[0]), *command[1:]],
                               env=environment(**variables), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=stderr, text=True)
    try:
        assert process.stdout.readline().strip() == str(process.pid)
        yield process
    finally:
        process.stdin.close()
        process.wait(30)


@contextlib.contextmanager
def messages():
    """A pair of ends: each write(2) to the first is one message at the second."""
    writer, reader = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (writer, reader):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    reader.settimeout(60)
    with writer, reader:
        yield writer, reader
