# SPDX-License-Identifier: MIT
"""The shell's bench: its rows, what it refuses; it can be stopped and leaves nothing behind."""

import pytest
from books import assert_balanced, assert_checks, assert_comes_back, counters


def names(answer):
    return {row["name"] for row in answer["rows"]}


def test_rows_have_an_ordered_spread_and_memory_comes_back(guest):
    before = counters(guest)
    answer = guest.run_json("bench --json --quick", timeout=180)
    assert answer["tick_per_instruction_thousandths"] > 0
    assert names(answer) >= {"page-0", "page-shuffled", "kmalloc-64", "kmalloc-churn",
                             "thread-life"}
    for row in answer["rows"]:
        assert "skipped" not in row, row
        assert 0 < row["min_thousandths"] <= row["median_thousandths"] <= row["max_thousandths"]
    assert_comes_back(guest, before)
    assert_balanced(guest)
    assert_checks(guest)


def test_a_name_covers_its_group_and_no_other(guest):
    answer = guest.run_json("bench --json --quick page")
    assert all(name.startswith("page-") for name in names(answer)) and len(names(answer)) >= 8
    assert names(guest.run_json("bench --json --quick kmalloc-16 page-0")) == {"kmalloc-16",
                                                                              "page-0"}
    text = guest.run("bench --quick page-0")
    assert "calibration" in text and text.count("\npage-") == 1


def test_an_unknown_name_is_refused(guest):
    assert "no bench 'kmalloc-1'" in guest.run("bench kmalloc-1")
    assert "page-0" in guest.run("bench --list").split()


def test_ctrl_c_stops_it_and_memory_comes_back(guest):
    before = counters(guest)
    guest.type("bench recovery")
    guest.wait_text(r"recovery-\d+: \d+ %", 60)
    guest.serial.send(b"\x03")
    guest.wait_prompt(30)
    assert "^C" in guest.text()
    assert_comes_back(guest, before)
    assert_checks(guest)


@pytest.mark.parametrize("memory", (64 << 20, 2 << 30))
def test_large_blocks_come_back_and_small_machines_say_what_they_lack(boot, memory):
    with boot(memory=memory) as guest:
        before = counters(guest)
        answer = guest.run_json("bench --json --quick recovery-70 page-shuffled page-10",
                                timeout=180)
        rows = {row["name"]: row for row in answer["rows"]}
        recovery = rows["recovery-70"]
        # On the small machine one block is several per cent of the possible ones.
        least = 98000 if memory > 1 << 30 else 85000
        assert least <= recovery["median_thousandths"] <= 100000, recovery
        assert all("skipped" in row or row["median_thousandths"] > 0 for row in answer["rows"])
        assert_comes_back(guest, before)
        assert_checks(guest)
