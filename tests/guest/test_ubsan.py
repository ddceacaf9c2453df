# SPDX-License-Identifier: MIT
"""In a build that traps where C leaves undefined what it does (preset ubsan): the reports."""

import re

import pytest
from endings import assert_survives_work, provoke

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
        text, ending = provoke(guest, lambda g: g.type(f"test fault {name}"))
    assert ending.reason == "debug-exit", f"{ending}\n{text}"
    assert REPORTS[name] in text, text
    assert re.search(r"arch_provoke\+0x", text), text


def test_what_the_kernel_does_is_clean(boot):
    with boot(cpus=2, **MACHINE) as guest:
        assert_survives_work(guest)
