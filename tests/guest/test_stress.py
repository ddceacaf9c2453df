# SPDX-License-Identifier: MIT
"""Every workload at once, on few and on many CPUs, and the books before and after."""

import pytest
from books import assert_balanced, assert_checks


def passes(guest, line, operations, timeout):
    result = guest.run_json(f"{line} --json", timeout=timeout)
    assert result["ok"] is True, result
    assert result["before"] == result["after"]
    assert result["errors"] == 0 and result["wrong"] is None
    assert result["operations"] >= operations and result["checks"] >= 1, result
    assert_checks(guest)
    assert_balanced(guest)


@pytest.fixture(name="four", scope="module")
def four_cpus(boot):
    with boot(cpus=4) as guest:
        yield guest


def test_all_cpus(four):
    passes(four, "stress --ops 200000", 200000, timeout=240)


def test_some_cpus(four):
    passes(four, "stress --seconds 2 --cpus 2", 100, timeout=120)


def test_64_cpus(boot):
    with boot(cpus=64, memory=1 << 30) as guest:
        passes(guest, "stress --seconds 5", 1000, timeout=400)


def test_books_that_differ_fail(four):
    four.run("spawn spin")  # ended by stress: one thread less than before
    text = four.run("stress --seconds 1", timeout=120)
    assert "FAILED" in text and "threads" in text and "<-- not the same" in text, text
    assert text.startswith("workloads are running"), text
    assert "workloads are running" not in four.run("stress --seconds 1", timeout=120)


def test_with_redzones_and_poison(boot):
    with boot(cpus=4, config="cmdline=debug=1\n") as guest:
        passes(guest, "stress --seconds 4", 1000, timeout=240)


@pytest.mark.parametrize("words", ("--ops 0", "--cpus 5", "--seconds x", "x"))
def test_wrong_arguments(four, words):
    text = four.run(f"stress {words}")
    assert text.startswith("stress: ") and "\n" not in text, text
