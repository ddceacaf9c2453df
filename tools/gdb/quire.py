# SPDX-License-Identifier: MIT
"""
Commands for gdb on a running or stopped kernel. tools/run --gdb prints the line that loads them.

    quire-threads          every thread: id, name, state, priority, where it would go on
    quire-page ADDRESS     the descriptor of the page a kernel or physical address lies in
    quire-log [COUNT]      the last lines of the kernel log
"""

import gdb  # pylint: disable=import-error

DIRECT_MAP, DIRECT_MAP_END = 0xFFFF800000000000, 0xFFFFE00000000000
PAGE_STATES = ("free, tail or never used", "head of a block", "run", "reserved", "slab")


def value(expression):
    return gdb.parse_and_eval(expression)


def text(array):
    return array.string(errors="replace")


def entries(head, kind, member):
    """The structures of type `kind` on an intrusive list."""
    pointer = gdb.lookup_type(kind).pointer()
    offset = int(value(f"(unsigned long)&((({kind} *)0)->{member})"))
    node = head["next"]
    while node != head.address:
        yield (node.cast(gdb.lookup_type("unsigned long")) - offset).cast(pointer)
        node = node["next"]


class Threads(gdb.Command):
    """Every thread: id, name, state, priority, where it would go on."""

    def __init__(self):
        super().__init__("quire-threads", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for t in entries(value("sched.threads"), "struct thread", "all"):
            state = str(t["state"]).replace("THREAD_", "").lower()
            line = f"{int(t['id']):5} {text(t['name']):20} {state:9} {int(t['priority']):3}"
            if t["waiting_on"]:
                line += f"  on {text(t['waiting_on']['name'])}"
            if state != "running" and t["context"]:
                line += f"  stack pointer {int(t['context']):#x}"
            gdb.write(line + "\n")


class Page(gdb.Command):
    """quire-page ADDRESS: the descriptor of the page a kernel or physical address lies in."""

    def __init__(self):
        super().__init__("quire-page", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        address = int(value(argument)) & (1 << 64) - 1
        if DIRECT_MAP <= address < DIRECT_MAP_END:
            address -= DIRECT_MAP
        frame = address >> 12
        if frame >= int(value("kernel_pages.pfn_limit")):
            raise gdb.GdbError(f"{address:#x} is neither in the direct map nor managed RAM")
        word = int(value(f"kernel_pages.descs[{frame}].word"))
        state = word & 7
        name = PAGE_STATES[state] if state < len(PAGE_STATES) else "nonsense"
        gdb.write(f"pfn {frame:#x}, physical {frame << 12:#x}: {name} (word {word:#018x})\n")
        if state == 4:
            gdb.write(f"slab at {word & ~7:#x}\n")
        elif word >> 32:
            site = word >> 32 | 0xFFFFFFFF00000000
            what = "freed by" if state == 0 else "allocated by"
            gdb.execute(f"printf \"{what} \"\ninfo symbol {site:#x}")


class Log(gdb.Command):
    """quire-log [COUNT]: the last lines of the kernel log."""

    def __init__(self):
        super().__init__("quire-log", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        ring, end = value("'log.c'::ring"), int(value("'log.c'::next_sequence"))
        lines = int(ring.type.range()[1]) + 1
        for at in range(max(end - min(int(argument or 20), lines), 0), end):
            line = ring[at % lines]
            seconds = int(line["ns"]) / 1e9
            gdb.write(f"[{seconds:12.6f}] {text(line['tag'])}: {text(line['text'])}\n")


Threads()
Page()
Log()
