"""URGE_DEBUG=schedtrace, read as Go's is read, with nothing of urge's in the way."""

import itertools
import re

from properties import holds, main, messages, running

# Go's schedtrace (1.20 to 1.25), as patterns; `rest` is what urge adds.
REST = r"(?P<rest>( \w+=(\[[\d ]*\]|\S*))*)"
TOTALS = (r"SCHED (?P<ms>\d+)ms: gomaxprocs=(?P<procs>\d+) idleprocs=(?P<idle>\d+) threads=(?P<threads>\d+) "
          r"spinningthreads=\d+ needspinning=[01] idlethreads=\d+ runqueue=(?P<runqueue>\d+)")
SUMMARY = re.compile(TOTALS + r" \[(?P<queues>\d+( \d+)*)\]" + REST)
HEAD = re.compile(TOTALS + r" gcwaiting=(true|false) nmidlelocked=\d+ stopwait=\d+ sysmonwait=(true|false)" + REST)
P = re.compile(r"  P(?P<id>\d+): status=[0-4] schedtick=\d+ syscalltick=\d+ m=(?P<m>nil|\d+) runqsize=\d+ "
               r"gfreecnt=\d+ timerslen=(?P<timers>\d+)" + REST)
M = re.compile(r"  M(?P<id>\d+): p=(?P<p>nil|\d+) curg=(?P<g>nil|\d+) mallocing=\d+ throwing=\d+ preemptoff=\S* "
               r"locks=\d+ dying=\d+ spinning=(true|false) blocked=(true|false) lockedg=(nil|\d+)" + REST)
G = re.compile(r"  G(?P<id>\d+): status=(?P<status>\d+)\((?P<why>[^)]*(\([^)]*\))?)\) m=(?P<m>nil|\d+) "
               r"lockedm=(nil|\d+)" + REST)


def reports(hogs, **variables):
    """What comes once all goroutines have been started, one report after another."""
    with messages() as (writer, reader), running("watched", str(hogs), stderr=writer, **variables):
        yield reader.recv(1 << 20).decode()
        while True:
            yield reader.recv(1 << 20).decode()


def matched(pattern, line):
    found = pattern.fullmatch(line)
    assert found, f"not as Go writes it: {line!r}"
    return found


@holds
def EachLineIsGosAndOneWrite():
    got = list(itertools.islice(reports(3, URGE_MAXPROCS="2", URGE_DEBUG="schedtrace=20"), 4))
    for report in got:
        assert report.endswith("\n") and report.count("\n") == 1, report
        line = matched(SUMMARY, report[:-1])
        assert line["procs"] == "2" and len(line["queues"].split()) == 2
        assert "goroutines=" in line["rest"] and "schedticks=[" in line["rest"], line["rest"]
    assert got[0].startswith("SCHED 0ms: "), got[0]
    times = [int(matched(SUMMARY, r[:-1])["ms"]) for r in got]
    assert all(b - a >= 20 for a, b in zip(times, times[1:])), times


@holds
def TheQueuesAreSeenToFill():
    # Ten hogs on one processor: nine wait, in its queue or in the global one.
    for report in reports(10, URGE_MAXPROCS="1", URGE_DEBUG="schedtrace=20"):
        line = matched(SUMMARY, report[:-1])
        waiting = int(line["runqueue"]) + sum(map(int, line["queues"].split()))
        if waiting >= 9 and line["idle"] == "0":
            return


@holds
def AnIdleProgramIsReportedToo():
    idle = 0
    for report in reports(0, URGE_MAXPROCS="2", URGE_DEBUG="schedtrace=20"):
        # The other processor is lent to the read that waits for the end.
        idle += int(matched(SUMMARY, report[:-1])["idle"]) >= 1
        if idle == 3:
            return


@holds
def DetailsAreGosAndOneWrite():
    for report in reports(3, URGE_MAXPROCS="2", URGE_DEBUG="schedtrace=20,scheddetail=1"):
        head, *lines = report.splitlines()
        procs = int(matched(HEAD, head)["procs"])
        ps = [matched(P, line) for line in lines if line.startswith("  P")]
        ms = [matched(M, line) for line in lines if line.startswith("  M")]
        gs = [matched(G, line) for line in lines if line.startswith("  G")]
        assert len(ps) + len(ms) + len(gs) == len(lines), report
        assert len(ps) == procs == 2
        for g in gs:
            assert g["status"] in ("2", "3") or g["m"] == "nil", report
        receivers = [g for g in gs if g["status"] == "4" and g["why"] == "chan receive"]
        if len(receivers) < 3:
            continue  # not all have come to wait
        # main reads stdin; three hogs and a ticker besides.
        assert len(gs) == 8, report
        assert all(g["rest"] == " name=receiver" for g in receivers), report
        assert sum(g["rest"] == " name=hog" for g in gs) == 3, report
        assert sum(int(p["timers"]) for p in ps) <= 1, report
        assert any(m["p"] != "nil" and m["g"] != "nil" for m in ms), report
        return


main()
