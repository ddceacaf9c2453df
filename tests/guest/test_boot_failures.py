# SPDX-License-Identifier: MIT
"""
Memory runs out during the boot: each allocation the kernel makes fails in turn, alone and with all
after it. What the boot can do without is left out, and a line says so; where it cannot, it ends
with one sentence: what there is no memory for, how much of it, and what to do. No report.

One guest is held at the kernel's first instruction and saved, with room for a plan on its command
line. For each failure its memory is written into a copy of the file, which is resumed.
"""

import re

import pytest
import qemu
import held
from books import assert_checks
from conftest import KASAN

SMALL = {"memory": 128 << 20, "cpus": 2}
ROOM = "fail=" + "." * 32

# What is said and where the prompt comes all the same; and where not.
GOES_ON = (
    r"boot: no memory for the first page asked for$",
    r"kfence: no memory for guarded objects$",
    r"arch: framebuffer without text: out of memory$",
    r"smp: the other CPUs are left out: out of memory below 1 MiB$",
    r"smp: the CPU with APIC id 1 is left out: out of memory$",
)
NEVER = GOES_ON[1:2] if KASAN else ()  # it has no guarded objects
FREE = r"; \d.* of \d.* are free$"
ENDS = (
    r"^no memory for the scheduler: two threads with \d+ KiB of stack each" + FREE,
    r"^no memory for the shell: a thread with \d+ KiB of stack" + FREE,
)
WHAT_TO_DO = r"^A call was made to fail, in \w+\+0x\w+: take fail= off the command line\.$"


class Boots:
    """Boots from the kernel's first instruction on."""

    def __init__(self, boot, folder):
        self.boot = boot
        self.file = folder / "one"
        stub = folder / "stub"
        with boot(config=f"cmdline={ROOM}\n", prompt=False, extra=held.words(stub),
                  **SMALL) as guest:
            loop, code = held.hold("kernel_main", stub)
            guest.save(folder / "saved")
        saved = (folder / "saved").read_bytes()
        assert saved.count(loop) == 1 and ROOM.encode() in saved
        self.saved = saved.replace(loop, code)

    def resume(self, words):
        """A guest with these words on its command line."""
        assert len(words) <= len(ROOM)
        self.file.write_bytes(self.saved.replace(ROOM.encode(), words.ljust(len(ROOM)).encode()))
        return self.boot(prompt=False, resume=self.file, **SMALL)

    def __call__(self, plan):
        """What it printed; how it ended, or None at the prompt; what `fail` says there."""
        with self.resume(f"fail={plan}") as guest:
            try:
                guest.wait_prompt(90)
            except qemu.GuestEnded:
                return guest.text(), guest.wait_end(30), None
            text = guest.text()
            met = guest.run_json("fail --json")
            guest.run("fail off")
            assert_checks(guest)
            return text, None, met


@pytest.fixture(name="boots", scope="module")
def fixture_boots(boot, tmp_path_factory):
    return Boots(boot, tmp_path_factory.mktemp("saved"))


def among(sentences, text):
    return {s for s in sentences if re.search(s, text, re.MULTILINE)}


def judge(text, ending):
    """The sentences said, which must be right for the end it came to."""
    missing, fatal = among(GOES_ON, text), among(ENDS, text)
    if ending is None:
        assert not fatal, text
        assert missing or "2 of 2 CPUs online" in text, text
        return missing
    assert ending.reason == "debug-exit", f"{ending}\n{text}"
    assert len(fatal) == 1 and "*** Quire cannot start ***" in text, text
    assert re.search(WHAT_TO_DO, text, re.MULTILINE), text
    assert not re.search(r"panic|assert|backtrace|last log lines|thread \d", text), text
    return missing | fatal


@pytest.mark.parametrize("which", ("kmalloc", "page"))
def test_each_allocation_fails_once(boots, which):
    text, ending, met = boots(f"{which},nth=1000000")
    assert ending is None and not judge(text, ending), text
    said, calls = set(), met[which]["calls"]
    assert calls > 3
    for n in range(1, calls + 1):
        text, ending, met = boots(f"{which},nth={n}")
        assert met is None or met[which]["failures"] == 1, met
        said |= judge(text, ending)
    assert said >= set(ENDS) | {GOES_ON[2], GOES_ON[4]}
    assert which == "kmalloc" or said == set(ENDS) | set(GOES_ON) - set(NEVER)


@pytest.mark.parametrize("which", ("kmalloc", "page"))
def test_memory_stays_out_from_each_allocation_on(boots, which):
    """The shell's thread has a stack at least, so none of them comes to a prompt."""
    for n in range(1, boots(f"{which},nth=1000000")[2][which]["calls"] + 1):
        text, ending, met = boots(f"{which},from={n}")
        assert ending, f"{met}\n{text}"
        assert judge(text, ending)


def test_debug_without_a_page_for_it(boots):
    with boots.resume("debug=1 fail=page,nth=1") as guest:
        guest.wait_prompt()
        assert "debug=1: no memory for redzones and quarantine: left out" in guest.text()
        guest.run("fail off")
        assert_checks(guest)


def test_trace_of_the_boot(boots):
    with boots.resume("trace=1") as guest:
        guest.wait_prompt()
        trace = guest.run_json("trace show 100000 --json")
        assert trace["on"] and trace["overwritten"] == 0
        callers = {e["caller"].split("+")[0] for e in trace["events"]}
        assert {"thread_new", "port_stack_alloc"} <= callers, callers


def test_a_wrong_plan_is_told(boots):
    text, ending, met = boots("kmalloc,nth=0")
    assert ending is None and not met["kmalloc"]["on"]
    assert "fail=: 'nth=0': expected a whole number" in text, text
