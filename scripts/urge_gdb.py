"""gdb commands for programs that run urge: live ones and core dumps.

    (gdb) source urge_gdb.py
    info goroutines         every goroutine: * if it runs, id, state, name, where it is
    goroutine N COMMAND     COMMAND (bt by default) on goroutine N's stack
    goroutine all COMMAND   the same for every goroutine in turn
    info procs              every P: state, its M, its goroutine, what is queued
    info preempt            every M: its goroutine, and the requests that are under way

Needs liburge's debug information (it is built with -g).  How it works: a goroutine off its
processor has an urge_context_frame at G::sp.  While a command looks at one, an unwinder of ours
takes the innermost frame of the selected thread for the callee of that context; nothing in the
process is changed, so core dumps do as well.
"""

import re

import gdb
import gdb.unwinder

SCHED = "urge::sched::"
STATES = ["idle", "runnable", "running", "syscall", "waiting", "dead", "preempted"]
WAITING, RUNNING, SYSCALL, DEAD, IDLE = 4, 2, 3, 5, 0
BACKTRACES = ("bt", "backtrace", "where")
STACK_PREEMPT = 0xFFFFFFFFFFFFFADE


def load(value):
    """The value inside a std::atomic."""
    for field in ("_M_b", "_M_base"):
        if any(f.name == field for f in value.type.strip_typedefs().fields()):
            value = value[field]
    for field in value.type.strip_typedefs().fields():
        if field.name in ("_M_p", "_M_i"):
            return value[field]
        if field.is_base_class:
            return load(value[field])
    raise gdb.GdbError("can't read a std::atomic of this C++ library: %s" % value.type)


def scheduler():
    try:
        return gdb.parse_and_eval("'urge::sched::g_sched'")
    except gdb.error:
        raise gdb.GdbError("no urge in this program, or no debug information of liburge")


def c_string(value):
    return value.string("utf-8", "replace")


def pointers(first, link):
    """A singly linked list of pointers."""
    while int(first) != 0:
        yield first
        first = first.dereference()[link]


class Goroutine:
    def __init__(self, pointer):
        self.pointer = pointer
        self.g = pointer.dereference()
        self.id = int(self.g["goid"])
        self.status = int(load(self.g["status"]))

    def state(self):
        if self.status == WAITING:
            reason = str(load(self.g["wait_reason"])).rsplit("::k", 1)[-1]
            return re.sub(r"(?<!^)(?=[A-Z])", " ", reason).lower()
        return STATES[self.status] if self.status < len(STATES) else str(self.status)

    def name(self):
        return c_string(self.g["name"])

    def locked(self):
        return int(self.g["lock_thread_depth"]) != 0

    def created(self):
        """By which function, in which goroutine."""
        pc, parent = int(self.g["go_pc"]), int(self.g["parent_goid"])
        if pc == 0:
            return ""
        symbol = gdb.execute("info symbol %#x" % (pc - 1), False, True).partition(" + ")[0]
        text = "created by " + (symbol if " " not in symbol or "(" in symbol else "%#x" % pc)
        return text + (" in goroutine %d" % parent if parent else "")

    def context(self):
        """The saved registers by name, or None while it runs on a thread."""
        if self.status in (RUNNING, SYSCALL):
            return None
        frame_type = gdb.lookup_type("urge_context_frame")
        frame = self.g["sp"].cast(frame_type.pointer()).dereference()
        registers = {name: int(frame[name]) for name in ("r15", "r14", "r13", "r12", "rbx", "rbp")}
        registers["rip"] = int(frame["pc"])
        registers["rsp"] = int(self.g["sp"]) + frame_type.sizeof
        return registers

    def thread(self):
        """gdb's thread that runs it."""
        for m in machines():
            if int(load(m["curg"])) == int(self.pointer) or (
                    self.status == SYSCALL and int(self.g["wired_m"]["_M_b"]["_M_p"]) == int(m.address)):
                return thread_of(m)
        return None


def goroutines():
    try:
        head = gdb.parse_and_eval("'urge::sched::(anonymous namespace)::g_all_gs'")
    except gdb.error:
        scheduler()
        raise
    found = [Goroutine(g) for g in pointers(load(head), "all_next")]
    return sorted((g for g in found if g.status not in (IDLE, DEAD)), key=lambda g: g.id)


def machines():
    for m in pointers(load(scheduler()["all_ms"]), "all_next"):
        if not bool(m.dereference()["gone"]):
            yield m.dereference()


def processors():
    sched = scheduler()
    return [sched["all_ps"][i].dereference() for i in range(int(load(sched["procs"])))]


def thread_of(m):
    for thread in gdb.selected_inferior().threads():
        if thread.ptid[1] == int(m["tid"]):
            return thread
    return None


class ContextUnwinder(gdb.unwinder.Unwinder):
    """The caller of the innermost frame is the goroutine's context, while one is looked at."""

    class Id:
        def __init__(self, sp, pc):
            self.sp, self.pc = sp, pc

    def __init__(self):
        super().__init__("urge goroutine")
        self.registers = None
        self.innermost = None

    def __call__(self, pending):
        if self.registers is None:
            return None
        sp, pc = pending.read_register("rsp"), pending.read_register("rip")
        if (int(sp), int(pc)) != self.innermost:
            return None
        # Below the goroutine's frames, as a callee is: gdb stops where frames go down.
        below = gdb.Value(self.registers["rsp"] - 8).cast(sp.type)
        unwound = pending.create_unwind_info(self.Id(below, pc))
        for name, value in self.registers.items():
            kind = pending.read_register(name).type
            unwound.add_saved_register(name, gdb.Value(value & (2 ** 64 - 1)).cast(kind))
        return unwound

    def look_at(self, registers):
        self.registers = None
        gdb.invalidate_cached_frames()
        if registers is None:
            return
        frame = gdb.newest_frame()
        mask = 2 ** 64 - 1
        self.innermost = (int(frame.read_register("rsp")) & mask,
                          int(frame.read_register("rip")) & mask)
        self.registers = registers
        gdb.invalidate_cached_frames()


unwinder = ContextUnwinder()
gdb.unwinder.register_unwinder(None, unwinder, replace=True)


class Looking:
    """with Looking(goroutine): the selected frame is its innermost one."""

    def __init__(self, goroutine):
        self.goroutine = goroutine

    def __enter__(self):
        self.thread = gdb.selected_thread()
        if self.thread is None:
            raise gdb.GdbError("the program isn't running")
        try:
            self.level = gdb.selected_frame().level()
        except gdb.error:
            self.level = 0
        registers = self.goroutine.context()
        if registers is None:
            thread = self.goroutine.thread()
            if thread is None:
                raise gdb.GdbError("goroutine %d is between two threads" % self.goroutine.id)
            thread.switch()
            gdb.newest_frame().select()
            return self
        unwinder.look_at(registers)
        frame = gdb.newest_frame().older()
        if frame is None:
            raise gdb.GdbError("goroutine %d has no frames" % self.goroutine.id)
        frame.select()
        return self

    def __exit__(self, *_):
        unwinder.look_at(None)
        if not self.thread.is_valid():
            return
        # Where the user was. Frames that were seen before are not valid any more.
        self.thread.switch()
        frame = gdb.newest_frame()
        while frame.level() < self.level and frame.older() is not None:
            frame = frame.older()
        frame.select()


def users_frame(frame):
    """The innermost frame that isn't the runtime's."""
    first = frame
    while frame is not None:
        name = frame.name()
        if name is not None and not name.startswith(("urge::", "urge_")):
            return frame
        frame = frame.older()
    return first


def where(frame):
    place = frame.find_sal()
    text = frame.name() or hex(frame.pc())
    if place.symtab is not None:
        text += " at %s:%d" % (place.symtab.filename, place.line)
    return text


class InfoGoroutines(gdb.Command):
    """List every goroutine: * if it runs, id, state, name, where it is."""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        del argument, from_tty
        for g in goroutines():
            try:
                with Looking(g):
                    place = where(users_frame(gdb.selected_frame()))
            except gdb.error as error:
                place = str(error)
            print("%s %4d  %-14s %-16s %s" % ("*" if g.status == RUNNING else " ", g.id, g.state(),
                                              g.name(), place))


class GoroutineCommand(gdb.Command):
    """goroutine N COMMAND, goroutine all COMMAND: COMMAND on a goroutine's stack (default: bt)."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        which, _, command = argument.partition(" ")
        command = command.strip() or "bt"
        chosen = goroutines()
        if which != "all":
            if not which.isdigit():
                raise gdb.GdbError("goroutine N COMMAND or goroutine all COMMAND")
            chosen = [g for g in chosen if g.id == int(which)]
            if not chosen:
                raise gdb.GdbError("no goroutine %s" % which)
        for g in chosen:
            print("goroutine %d [%s%s]%s:" % (g.id, g.state(), ", locked to thread" if g.locked() else "",
                                              " " + g.name() if g.name() else ""))
            try:
                with Looking(g):
                    self.run(g, command, from_tty)
            except gdb.error as error:
                print("  " + str(error))
            if command.split()[0] in BACKTRACES and g.created():
                print(g.created())

    @staticmethod
    def run(g, command, from_tty):
        if command.split()[0] not in BACKTRACES or g.context() is None:
            gdb.execute(command, from_tty)
            return
        # Without the thread's own innermost frame, which is number 0.
        for line in gdb.execute(command, from_tty, True).splitlines():
            number, _, rest = line.partition(" ")
            if number == "#0":
                continue
            if number[:1] == "#" and number[1:].isdigit():
                line = "#%-3d%s" % (int(number[1:]) - 1, rest.lstrip() if rest else "")
            print(line)


class InfoProcs(gdb.Command):
    """List every P: state, its M, its goroutine, what is queued."""

    def __init__(self):
        super().__init__("info procs", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        del argument, from_tty
        sched = scheduler()
        print("procs %d, idle %d, spinning %d, global queue %d" % (
            int(load(sched["procs"])), int(load(sched["idle_ps"])),
            int(load(sched["spinning"])), int(load(sched["global_size"]))))
        for p in processors():
            m = load(p["m"])
            text = "P%d %s" % (int(p["id"]), str(load(p["status"])).rsplit("::k", 1)[-1].lower())
            if int(m) != 0:
                text += "  M%d thread %d" % (int(m["id"]), int(m["tid"]))
                g = load(m["curg"])
                text += "  goroutine %d" % int(g["goid"]) if int(g) != 0 else "  on g0"
            queue = p["queue"]
            size = int(load(queue["tail_"])) - int(load(queue["head_"]))
            text += "  queued %d%s  switches %d" % (
                size, " + next" if int(load(queue["next_"])) != 0 else "", int(load(p["switches"])))
            print(text)


class InfoPreempt(gdb.Command):
    """List every M: its goroutine, and the requests to stop it that are under way."""

    def __init__(self):
        super().__init__("info preempt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        del argument, from_tty
        for m in machines():
            g = load(m["curg"])
            text = "M%d thread %d" % (int(m["id"]), int(m["tid"]))
            if int(g) == 0:
                text += "  on g0"
            else:
                text += "  goroutine %d" % int(g["goid"])
                if bool(load(g["preempt"])):
                    reason = str(load(g["preempt_reason"])).rsplit("::k", 1)[-1].lower()
                    text += "  asked to stop (%s)" % reason
                    stamps = m["request"]
                    for event in ("signalled", "handled", "deferred"):
                        if int(load(stamps[event])) != 0:
                            text += ", " + event
                if int(g["no_preempt"]) != 0:
                    text += "  in no_preempt"
            try:
                if int(load(m["guard_word"].dereference())) == STACK_PREEMPT:
                    text += "  marked"
            except gdb.error:
                pass  # the thread's memory isn't in the core dump
            if int(load(m["signal_pending"])) != 0:
                text += "  signal on its way"
            if int(m["lockedg"]) != 0:
                text += "  wired to goroutine %d" % int(m["lockedg"]["goid"])
            print(text)


InfoGoroutines()
GoroutineCommand()
InfoProcs()
InfoPreempt()
