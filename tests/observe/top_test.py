"""scripts/top: what it shows, its width, and its errors."""

import importlib.machinery
import importlib.util
import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import tempfile
import threading

from properties import ROOT, environment, holds, main, running

TOP = os.path.join(ROOT, "scripts/top")


def top(*arguments, **variables):
    return subprocess.run([sys.executable, TOP, *map(str, arguments)], env=environment(**variables),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def refused(*arguments):
    result = top(*arguments)
    assert result.returncode != 0 and not result.stdout, result
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


@holds
def OneIntervalShowsProcessorsGoroutinesAndPreemptions():
    with running("watched", "3", URGE_METRICS="1", URGE_MAXPROCS="2") as process:
        result = top(process.pid, "--once", "--interval", 0.3)
    assert result.returncode == 0, result
    text = result.stdout
    for pattern in (rf"^urge-top  watched, process {process.pid}, ", r"^procs 2, ", r"^goroutines 8: ",
                    r"  waiting for: chan receive 3", r"^threads \d+: ", r"^P0 .* hog +", r"^P1 ",
                    r"  asked for  slice ", r"  answered   prologue 0  signal ", r"^slice_length "):
        assert re.search(pattern, text, re.M), (pattern, text)
    assert all(len(line) <= 80 for line in text.splitlines()), text
    assert len(text.splitlines()) <= 24, text
    # Three hogs keep two processors from ever being idle.
    assert re.search(r"^P[01] +#{15,}\.* +\d+%", text, re.M), text


@holds
def BatchGoesOnUntilTheProcessEnds():
    with running("watched", URGE_METRICS="1") as process:
        client = subprocess.Popen([sys.executable, TOP, str(process.pid), "--interval", "0.1"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        heads = 0
        for line in client.stdout:
            heads += line.startswith("urge-top")
            if heads == 3:
                break
        process.stdin.close()
        process.wait(30)
        _, errors = client.communicate(timeout=60)
    assert f"process {process.pid} has ended" in errors, errors
    assert client.returncode == 2


@holds
def OnATerminalItIsRedrawnAndQuits():
    with running("watched", "2", URGE_METRICS="1", URGE_MAXPROCS="16") as process:
        child, terminal = pty.fork()
        if child == 0:
            os.environ.update(TERM="xterm", LINES="24", COLUMNS="80")
            os.execv(sys.executable, [sys.executable, TOP, str(process.pid), "--interval", "0.2"])
        shown = b""
        # Sixteen processors give way to the rest.
        while any(word not in shown for word in (b"preemptions per s", b"slice_length", b" more")):
            ready, _, _ = select.select([terminal], [], [], 60)
            assert ready, shown
            shown += os.read(terminal, 1 << 16)
        os.write(terminal, b"q")
        try:
            while os.read(terminal, 1 << 16):
                pass
        except OSError:
            pass  # the other side is closed
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"\x1b[" in shown and b"watched" in shown


@holds
def WithoutAProcessThoseThereAreAreListed():
    with running("watched", URGE_METRICS="1") as a, running("watched", URGE_METRICS="1") as b:
        result = top()
    assert result.returncode == 1 and "which process?" in result.stderr, result
    for process in (a, b):
        assert re.search(rf"^ +{process.pid}  watched$", result.stderr, re.M), result.stderr


@holds
def AnAddressOfItsOwnIsFound():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "socket")
        for address in (path, f"@urge-top-test-{os.getpid()}"):
            with running("watched", URGE_METRICS=address) as process:
                for arguments in ((process.pid,), ("--socket", address)):
                    result = top(*arguments, "--once", "--interval", 0.05)
                    assert result.returncode == 0, result
                    assert f"process {process.pid}" in result.stdout


@holds
def ErrorsSayWhatToDo():
    with running("watched") as process:
        assert "start it with URGE_METRICS=1" in refused(process.pid)
    assert f"there is no process {process.pid}" in refused(process.pid)
    assert "can't connect to /nowhere/at/all: No such file" in refused("--socket", "/nowhere/at/all")


def as_another_user(*arguments):
    """What the client, loaded before, prints to stderr; its folder may be closed to others."""
    loader = importlib.machinery.SourceFileLoader("top", TOP)
    client = importlib.util.module_from_spec(importlib.util.spec_from_loader("top", loader))
    loader.exec_module(client)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writer, 2)
        os.setresuid(65534, 65534, 65534)
        sys.argv = ["top", *arguments]
        status = client.main()
        sys.stderr.flush()
        os._exit(status)
    os.close(writer)
    with open(reader) as stderr:
        text = stderr.read()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1, text
    return text


@holds
def AnotherUsersProcessIsRefused():
    if os.geteuid() != 0:
        return  # only root can become somebody else
    with running("watched", URGE_METRICS="1") as process:
        belongs = f"process {process.pid} belongs to user 0"
        assert belongs in as_another_user(str(process.pid), "--once")
        # Past the client's own looks the process itself refuses.
        assert belongs in as_another_user("--socket", f"@urge-metrics-{process.pid}", "--once")


class Impostor:
    """Answers every request at a default address with the given object."""

    def __init__(self, **answer):
        self.line = json.dumps(answer).encode() + b"\n"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"\0urge-metrics-{os.getpid()}")
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        client, _ = self.listener.accept()
        while client.recv(1 << 12):
            client.sendall(self.line)


@holds
def AnotherProtocolIsRefused():
    impostor = Impostor(protocol=99)
    assert "speaks protocol 99" in refused(os.getpid())
    impostor.listener.close()


main()
