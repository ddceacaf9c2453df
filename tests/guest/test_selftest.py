# SPDX-License-Identifier: MIT
"""The kernel's own tests, run inside it."""

import pytest
from books import assert_balanced, assert_checks, assert_comes_back, counters


@pytest.mark.parametrize("cpu", (None, "max"))
def test_all_pass_and_leave_nothing(boot, cpu):
    with boot(cpu=cpu) as guest:
        before = counters(guest)
        result = guest.run_json("test --json", timeout=180)
        assert result["failed"] == 0 and result["passed"] >= 8, result
        assert_comes_back(guest, before)
        assert_balanced(guest)
        assert_checks(guest)
        text = guest.run("test", timeout=180)
        assert f"{result['passed']} passed, 0 failed" in text, text
