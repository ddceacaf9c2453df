# SPDX-License-Identifier: MIT
"""In a build that traps where C leaves undefined what it does (preset ubsan): the reports."""

import re

import pytest
from books import assert_balanced, assert_checks, assert_comes_back, counters

MACHINE = {"memory": 128 << 20, "cpu": "max"}
REPORTS = {
    "ubsan-shift": "UBSan: shift by too much, or of a negative value (#UD invalid opcode)",
    "ubsan-index": "UBSan: index outside of its array (#UD invalid opcode)",
    "ubsan-sum": "UBSan: signed addition overflowed (#UD invalid opcode)",
    "invalid-opcode": "*** #UD invalid opcode ***",
}


@pytest.fixture(name="saved", scope="module")
def fixture_saved(boot, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "ubsan"
    with boot(**MACHINE) as guest:
        guest.save(path)
    return path


@pytest.mark.parametrize("name", REPORTS)
def test_undefined_behaviour(boot, saved, name):
    with boot(prompt=False, resume=saved, **MACHINE) as guest:
        guest.type("")
        guest.wait_prompt()
        start = len(guest.lines.done)
        guest.type(f"test fault {name}")
        ending = guest.wait_end(60)
        text = "\n".join(guest.lines.done[start:])
    assert ending.reason == "debug-exit", f"{ending}\n{text}"
    assert REPORTS[name] in text, text
    assert re.search(r"arch_provoke\+0x", text), text


def test_what_the_kernel_does_is_clean(boot):
    """The self tests and some work on two CPUs: no report. (All tests: tools/test --preset.)"""
    with boot(cpus=2, **MACHINE) as guest:
        before = counters(guest)
        guest.run("spawn churn --count 2 --seconds 2")
        guest.run("spawn producer-consumer --count 2 --seconds 2")
        assert_comes_back(guest, before, seconds=120)
        result = guest.run_json("test --json", timeout=240)
        assert result["failed"] == 0 and result["passed"] >= 8, result
        assert_balanced(guest)
        assert_checks(guest)
