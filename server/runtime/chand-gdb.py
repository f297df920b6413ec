"""Goroutines in gdb.

    (gdb) source server/runtime/chand-gdb.py
    (gdb) info goroutines           number, state, what it waits for, where it was created
    (gdb) goroutine 12 bt           any command, on the stack of a goroutine that does not run

Needs a live process (registers are set for the time of the command) and debugging symbols. On a
goroutine that runs, use `info threads` and `thread N`: the list names its thread's machine.
"""

import gdb

STATES = ("idle", "new", "runnable", "running", "waiting", "syscall", "dead", "nursery")

# What the three words of a struct context are (context.h).
SAVED = {
    "i386:x86-64": ("rsp", "rbp", "rip"),
    "aarch64": ("sp", "x29", "pc"),
}


def goroutines():
    """Every goroutine that is alive, as a gdb.Value of type struct goroutine *; as stack_walk()."""
    stacks = gdb.lookup_static_symbol("stacks").value()
    pointer = gdb.lookup_type("struct goroutine").pointer()
    line, colours = (int(gdb.parse_and_eval(n)) for n in ("CACHE_LINE_BYTES", "COLOURS"))
    room = -(-pointer.target().sizeof // line) * line
    count = int(stacks["slab_count"])
    for s in range(count):
        slab = stacks["slabs"][s].dereference()
        for i in range(int(stacks["stacks_a_slab"])):
            if not int(slab["used"][i // 64]) >> (i % 64) & 1:
                continue
            high = int(slab["base"]) + (i + 1) * int(stacks["stack_bytes"])
            g = gdb.Value(high - i % colours * line - room).cast(pointer)
            if state(g) == "nursery":
                yield from newborns(g, int(stacks["page_bytes"]))
            elif state(g) not in ("idle", "dead"):
                yield g


def newborns(holder, page_bytes):
    """Those in a nursery that have not begun; as nursery_walk()."""
    page = int(holder) & -page_bytes
    nursery = gdb.Value(page).cast(gdb.lookup_type("struct nursery").pointer())
    pointer = gdb.lookup_type("struct newborn").pointer()
    at = -(-nursery.dereference().type.sizeof // 16) * 16
    while at < int(nursery["filled_bytes"]):
        n = gdb.Value(page + at).cast(pointer)
        if state(n["g"]) == "new":
            yield n["g"].address
        at += int(n["bytes"])


def state(g):
    return STATES[int(g["state"])]


def reason(g):
    if state(g) != "waiting":
        return ""
    text = gdb.parse_and_eval("wait_reason_words(%d)" % int(g["wait_reason"]))
    return text.string()


def site(g):
    if not int(g["site"]):
        return ""
    s = g["site"].dereference()
    return "%s at %s:%d" % (s["callee"].string(), s["file"].string(), int(s["line"]))


class InfoGoroutines(gdb.Command):
    """List every goroutine with its state, what it waits for and where it was created."""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        for g in goroutines():
            print("%6d %-9s %-24s %s" % (int(g["id"]), state(g), reason(g), site(g)))


class Goroutine(gdb.Command):
    """goroutine N COMMAND: run COMMAND, for example bt, on the stack of a goroutine that waits."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK)

    def invoke(self, arg, from_tty):
        number, _, command = arg.partition(" ")
        if not number.isdigit() or not command:
            raise gdb.GdbError("goroutine N COMMAND")
        g = next((g for g in goroutines() if int(g["id"]) == int(number)), None)
        if g is None:
            raise gdb.GdbError("no goroutine %s" % number)
        if state(g) == "new":
            raise gdb.GdbError("goroutine %s has not begun, and has no stack" % number)
        if state(g) in ("running", "syscall"):
            raise gdb.GdbError("goroutine %s runs: see `info threads`" % number)
        self.run_on(g, command)

    def run_on(self, g, command):
        frame = gdb.selected_frame()
        frame_of_registers = gdb.newest_frame()
        frame_of_registers.select()
        names = SAVED[frame.architecture().name()]
        words = (int(g["context"][field]) for field in ("sp", "frame", "pc"))
        target = dict(zip(names, words))
        saved = {name: int(frame_of_registers.read_register(name)) for name in target}
        try:
            for name, value in target.items():
                gdb.execute("set $%s = %d" % (name, value))
            gdb.execute(command)
        finally:
            gdb.newest_frame().select()
            for name, value in saved.items():
                gdb.execute("set $%s = %d" % (name, value))


InfoGoroutines()
Goroutine()
