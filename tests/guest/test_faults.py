# SPDX-License-Identifier: MIT
"""
Each exception the CPU can raise, provoked: a report with its name, the registers and a backtrace
with symbols, and no triple fault. A report ends the kernel, so one guest is saved at its prompt
and resumed for each of them: a fifth of the time of a boot.
"""

import re

import pytest

PLAIN = {"memory": 128 << 20, "cpu": "max"}

# `test fault NAME` and what its report must say.
REPORTS = {
    "divide": r"#DE divide error",
    "debug": r"#DB",
    "nmi": r"NMI",
    "invalid-opcode": r"#UD invalid opcode",
    "floating-point": r"#(NM|UD)",
    "double-fault": r"#DF double fault",
    "segment-not-present": r"#NP segment not present",
    "stack-segment": r"#SS",
    "general-protection": r"#GP",
    "machine-check": r"#MC machine check",
    "null-read": r"(?s)#PF.*read from 0x0000000000000008.*not mapped",
    "null-write": r"(?s)#PF.*write to 0x0000000000000000.*not mapped",
    "null-call": r"(?s)#PF.*execute 0x0000000000000000",
    "hole-read": r"(?s)#PF.*read from.*not mapped",
    "descriptor-write": r"(?s)#PF.*write to",
    "exec-stack": r"(?s)#PF.*execute.*not permitted",
    "exec-data": r"(?s)#PF.*execute.*not permitted",
    "exec-heap": r"(?s)#PF.*execute.*not permitted",
    "write-text": r"(?s)#PF.*write to.*not permitted",
    "write-rodata": r"(?s)#PF.*write to.*not permitted",
    "write-text-alias": r"(?s)#PF.*write to.*not permitted",
    "stack-overflow": r"kernel stack overflow in thread shell",
    "smep": r"(?s)#PF.*execute.*not permitted",
    "smap": r"(?s)#PF.*read from.*not permitted",
    "umip": r"#GP",
}
# A report of another kind: not the CPU found it.
STACK_SMASH = "stack-smash"
GOES_ON = ("breakpoint", "stray-interrupt")
# Where there is no way back to the shell's frames.
NO_BACKTRACE = ("double-fault", "null-call", "umip")


@pytest.fixture(name="saved", scope="module")
def fixture_saved(boot, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "guest"
    with boot(**PLAIN) as guest:
        listed = names(guest)
        guest.save(path)
    return path, listed


def names(guest):
    return [line.split()[0] for line in guest.run("test fault").split("\n")[1:] if line.strip()]


def resume(boot, saved):
    return boot(prompt=False, resume=saved[0], **PLAIN)


def provoke(guest, action):
    """Everything printed from the action to the end; the end."""
    guest.type("")
    guest.wait_prompt()
    start = len(guest.lines.done)
    action(guest)
    ending = guest.wait_end(60)
    return "\n".join(guest.lines.done[start:]), ending


def assert_report(text, ending, pattern, backtrace=True):
    assert ending.reason == "debug-exit", f"{ending}\n{text}"
    assert re.search(pattern, text), text
    assert re.search(r"vector \d+", text), text
    for register in ("rip", "rsp", "rax", "r15", "cr2", "cr3"):
        assert re.search(rf"\b{register} (0x)?[0-9a-f]+", text), text
    if backtrace:
        assert re.search(r"\bshell_\w+\+0x", text), f"no symbols of the shell's frames:\n{text}"


def test_every_fault_on_offer_is_tested(saved):
    assert set(saved[1]) == set(REPORTS) | set(GOES_ON) | {STACK_SMASH}


@pytest.mark.parametrize("name", REPORTS)
def test_fault(boot, saved, name):
    with resume(boot, saved) as guest:
        text, ending = provoke(guest, lambda g: g.type(f"test fault {name}"))
    assert_report(text, ending, REPORTS[name], name not in NO_BACKTRACE)


def test_a_smashed_stack_is_found_before_the_return(boot, saved):
    with resume(boot, saved) as guest:
        text, ending = provoke(guest, lambda g: g.type(f"test fault {STACK_SMASH}"))
    assert ending.reason == "debug-exit", f"{ending}\n{text}"
    assert re.search(r"stack smashing detected in stack_smash\+0x\w+, thread shell", text), text
    assert re.search(r"canary 0x[0-9a-f]{14}00 is gone", text), text
    assert re.search(r"backtrace:\n +0x\w+ +stack_smash\+", text), text
    assert re.search(r"\bshell_\w+\+0x", text), f"no symbols of the shell's frames:\n{text}"


def test_breakpoint_is_reported_and_goes_on(boot, saved):
    with resume(boot, saved) as guest:
        guest.type("")
        text = guest.run("test fault breakpoint")
        assert "#BP" in text and "rip 0x" in text, text
        assert guest.run("version")


def test_stray_interrupts_are_counted_and_logged_once(boot, saved):
    with resume(boot, saved) as guest:
        guest.type("")
        guest.run("test fault stray-interrupt")
        guest.run("test fault stray-interrupt")
        assert guest.run_json("cpu --json")["unknown_interrupts"] == 2
        text = "\n".join(guest.lines.done)
        assert text.count("has no handler") == 1, text


def test_nmi_from_outside(boot, saved):
    with resume(boot, saved) as guest:
        text, ending = provoke(guest, lambda g: g.qmp.execute("inject-nmi"))
    assert_report(text, ending, r"NMI", backtrace=False)


def test_panic_report(boot, saved):
    with resume(boot, saved) as guest:
        text, ending = provoke(guest, lambda g: g.type('panic "for the test"'))
    assert ending.reason == "debug-exit", ending
    assert "for the test" in text and "memory:" in text
    assert re.search(r"\bshell_\w+\+0x", text), text


def test_a_cpu_without_protections_offers_fewer(boot):
    with boot(cpu="qemu64") as guest:
        offered = names(guest)
        features = guest.run_json("cpu --json")["features"]
    for name in ("smep", "smap", "umip"):
        assert (name in offered) == features[name]
    assert not features["smap"]
