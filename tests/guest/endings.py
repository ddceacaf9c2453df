# SPDX-License-Identifier: MIT
"""Guests that are made to end, and guests that must not."""

from books import assert_balanced, assert_checks, assert_comes_back, counters


def provoke(guest, action):
    """Everything printed from the action to the end; the end."""
    guest.type("")
    guest.wait_prompt()
    start = len(guest.lines.done)
    action(guest)
    ending = guest.wait_end(60)
    return "\n".join(guest.lines.done[start:]), ending


def assert_survives_work(guest):
    """The self tests and some work: no report, right books. (All tests: tools/test --preset.)"""
    before = counters(guest)
    guest.run("spawn churn --count 2 --seconds 2")
    guest.run("spawn producer-consumer --count 2 --seconds 2")
    assert_comes_back(guest, before, seconds=120)
    result = guest.run_json("test --json", timeout=240)
    assert result["failed"] == 0 and result["passed"] >= 8, result
    assert_balanced(guest)
    assert_checks(guest)
