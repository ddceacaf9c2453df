# SPDX-License-Identifier: MIT
"""
Each exception the CPU can raise, provoked: a report with its name, the registers and a backtrace
with symbols, and no triple fault. A report ends the kernel, so one guest is saved at its prompt
and resumed for each of them: a fifth of the time of a boot.
"""

import re

import pytest
from conftest import KASAN
from endings import provoke

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
# A report of another kind: not the CPU found it. KASAN sees the write itself, before anybody looks
# at the canary.
STACK_SMASH = "stack-smash"
SMASHED = (r"KASAN: stack out-of-bounds .* by stack_smash\+0x\w+ \*\*\*\n +thread +{},"
           if KASAN else r"stack smashing detected in stack_smash\+0x\w+, thread {}")
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


def assert_report(text, ending, pattern, backtrace=True):
    assert ending.reason == "debug-exit", f"{ending}\n{text}"
    assert re.search(pattern, text), text
    assert re.search(r"vector \d+", text), text
    for register in ("rip", "rsp", "rax", "r15", "cr2", "cr3"):
        assert re.search(rf"\b{register} (0x)?[0-9a-f]+", text), text
    if backtrace:
        assert re.search(r"\bshell_\w+\+0x", text), f"no symbols of the shell's frames:\n{text}"


def test_every_fault_on_offer_is_tested(saved):
    offered = {name for name in saved[1] if not name.startswith("ubsan-")}  # test_ubsan.py
    assert offered == set(REPORTS) | set(GOES_ON) | {STACK_SMASH}


@pytest.mark.parametrize("name", REPORTS)
def test_fault(boot, saved, name):
    with resume(boot, saved) as guest:
        text, ending = provoke(guest, lambda g: g.type(f"test fault {name}"))
    assert_report(text, ending, REPORTS[name], name not in NO_BACKTRACE)


def test_a_smashed_stack_is_found_before_the_return(boot, saved):
    with resume(boot, saved) as guest:
        text, ending = provoke(guest, lambda g: g.type(f"test fault {STACK_SMASH}"))
    assert ending.reason == "debug-exit", f"{ending}\n{text}"
    assert re.search(SMASHED.format("shell"), text), text
    assert KASAN or re.search(r"canary 0x[0-9a-f]{14}00 is gone", text), text
    found_by = r"(?: +0x\w+ +(?:kasan_check|memset)\+.*\n)*" if KASAN else ""
    assert re.search(r"backtrace:\n" + found_by + r" +0x\w+ +stack_smash\+", text), text
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


# Status: valid, uncorrected, enabled, misc and address valid, corrupt; a cache hierarchy error.
MCE_STATUS, MCE_ADDRESS, MCE_MISC = 0xBE00000000000134, 0x12345000, 0x8C


def inject_mce(guest, cpu, bank=1):
    guest.monitor(f"mce {cpu} {bank} {MCE_STATUS:#x} 0x5 {MCE_ADDRESS:#x} {MCE_MISC:#x}")


def assert_machine_check(text, ending, bank=1):
    assert_report(text, ending, r"#MC machine check", backtrace=False)
    assert "machine check status 0x5, could be resumed, in progress" in text, text
    assert f"bank {bank}: status {MCE_STATUS:#018x}: uncorrected, " in text, text
    assert "this CPU's state may be corrupt" in text, text
    assert "error code 0x0134 (cache hierarchy error)" in text, text
    assert f"address {MCE_ADDRESS:#x}\n" in text and f"misc {MCE_MISC:#x}\n" in text, text


def test_machine_check_from_outside(boot, saved):
    with resume(boot, saved) as guest:
        text, ending = provoke(guest, lambda g: inject_mce(g, 0))
    assert_machine_check(text, ending)
    assert "CPU 0, thread" in text


def test_machine_check_without_an_address(boot, saved):
    with resume(boot, saved) as guest:
        text, ending = provoke(
            guest, lambda g: g.monitor("mce 0 2 0xb200000000000000 0x5 0x12345000 0x8c"))
    assert_report(text, ending, r"#MC machine check", backtrace=False)
    assert "bank 2: status 0xb200000000000000: uncorrected" in text, text
    assert "address 0x12345000" not in text and "misc 0x8c" not in text, text


# ---- on another CPU, and on another stack ----

@pytest.fixture(name="two", scope="module")
def fixture_two(boot, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "two"
    with boot(cpus=2, **PLAIN) as guest:
        guest.save(path)
    return path


def resume_two(boot, two):
    return boot(prompt=False, resume=two, cpus=2, **PLAIN)


@pytest.mark.parametrize("name", ["null-write", "double-fault", "general-protection", "exec-stack",
                                  "write-text", "smap", "stack-overflow", "machine-check",
                                  "nmi"])
def test_fault_on_another_cpu(boot, two, name):
    with resume_two(boot, two) as guest:
        text, ending = provoke(guest, lambda g: g.type(f"test fault {name} --cpu 1"))
    assert_report(text, ending, REPORTS[name], name not in NO_BACKTRACE)
    assert "CPU 1, thread shell" in text, text


def test_stack_overflow_in_another_thread(boot, two):
    with resume_two(boot, two) as guest:
        text, ending = provoke(guest,
                               lambda g: g.type("test fault stack-overflow --cpu 1 --thread"))
    assert_report(text, ending, r"kernel stack overflow in thread victim", backtrace=False)
    assert "CPU 1, thread victim" in text, text
    assert "recurse+0x" in text and "provoke_in_thread+0x" in text, text


def test_smashed_stack_on_another_cpu(boot, two):
    with resume_two(boot, two) as guest:
        text, ending = provoke(guest,
                               lambda g: g.type(f"test fault {STACK_SMASH} --cpu 1 --thread"))
    assert ending.reason == "debug-exit", f"{ending}\n{text}"
    assert re.search(SMASHED.format("victim"), text), text
    assert "CPU 1, thread" in text, text


def test_machine_check_on_another_cpu(boot, two):
    with resume_two(boot, two) as guest:
        text, ending = provoke(guest, lambda g: inject_mce(g, 1, bank=3))
    assert_machine_check(text, ending, bank=3)
    assert "CPU 1, thread" in text, text


def test_nmi_from_outside_with_two_cpus(boot, two):
    """The one the board's line leads to reports; the other is stopped, by an NMI too."""
    with resume_two(boot, two) as guest:
        text, ending = provoke(guest, lambda g: g.qmp.execute("inject-nmi"))
    assert_report(text, ending, r"NMI", backtrace=False)
    assert text.count("non-maskable") == 1 and "CPU 0, thread" in text, text


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
