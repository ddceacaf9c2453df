# SPDX-License-Identifier: MIT
"""Every CPU: started, used by threads and allocators at once, and left as it was."""

import re

import pytest
from books import assert_balanced, assert_checks, assert_comes_back, counters
from conftest import KASAN


def cpus(guest):
    return guest.run_json("cpu --json")["cpus"]


def assert_self_tests_pass(guest, names=""):
    result = guest.run_json(f"test {names} --json", timeout=180)
    assert result["failed"] == 0, result


@pytest.fixture(name="four", scope="module")
def four_cpus(boot):
    with boot(cpus=4) as guest:
        yield guest


@pytest.mark.parametrize("count", (2, 16, 64))
def test_all_come_online(boot, count):
    with boot(cpus=count) as guest:
        listed = cpus(guest)
        assert [c["cpu"] for c in listed] == list(range(count))
        assert len({c["apic_id"] for c in listed}) == count
        assert_self_tests_pass(guest, "cpus pinned stale threads")
        assert_balanced(guest)
        assert_checks(guest)


def test_self_tests_pass_on_four(four):
    assert_self_tests_pass(four)


def test_spawn_pins(four):
    before = counters(four)
    four.run("spawn spin --cpu 2 --count 3")
    spins = [t for t in four.run_json("ps --json")["threads"] if t["name"] == "spin"]
    assert len(spins) == 3 and all(t["cpu"] == 2 and t["pinned"] for t in spins), spins
    queues = four.run_json("queues --json")["cpus"]
    assert queues[2]["ready"] + (queues[2]["running_name"] == "spin") >= 2, queues
    assert "from 0 to 3" in four.run("spawn spin --cpu 4")
    four.run("kill all")
    assert_comes_back(four, before, seconds=60)


def test_percpu_shows_every_cache(four):
    listed = four.run_json("percpu --json")["cpus"]
    assert [c["cpu"] for c in listed] == [0, 1, 2, 3]
    for c in listed:
        assert c["cached_pages"] == sum(n << k for k, n in enumerate(c["cached_blocks"])), c
        assert (c["cached_objects"] > 0) == (c["cached_bytes"] > 0) <= (c["magazines"] > 0), c
    # (A KASAN build uses no caches.)
    assert KASAN or sum(c["block_allocs"][0] for c in listed) > 0, listed
    rows = [line.split() for line in four.run("percpu").split("\n")]
    assert [row[0] for row in rows if row and row[0].isdigit()] == list("0123") * 2, rows


def test_work_spreads(four):
    before = counters(four)
    four.run("spawn spin --count 8 --seconds 4")
    four.idle(1)
    spins = [t for t in four.run_json("ps --json")["threads"] if t["name"] == "spin"]
    assert {t["cpu"] for t in spins} >= {0, 1, 2, 3} - {four_shell_cpu(four)}, spins
    assert_comes_back(four, before, seconds=60)


def four_shell_cpu(guest):
    return next(t["cpu"] for t in guest.run_json("ps --json")["threads"] if t["name"] == "shell")


def test_stress_leaves_nothing(four):
    before = counters(four)
    four.run("spawn churn --count 8 --seconds 4")
    four.run("spawn producer-consumer --count 8 --seconds 4")
    four.run("spawn sleep --count 50 --seconds 4")
    for _ in range(5):
        assert_checks(four)
    assert_balanced(four)
    assert_comes_back(four, before, seconds=60)
    assert_checks(four)
    for workload in four.run_json("spawn --json")["workloads"]:
        assert workload["errors"] == 0, workload
        assert workload["threads_started"] == workload["threads_ended"], workload


def test_a_silent_cpu_is_left_out(boot):
    with boot("cmdline=smp_silent=2\n", cpus=4) as guest:
        assert [c["apic_id"] for c in cpus(guest)] == [0, 1, 3]
        assert "APIC id 2 is left out" in guest.run("log", log=True)
        assert_self_tests_pass(guest, "cpus pinned stale threads")
        assert_balanced(guest)
        assert_checks(guest)


def test_maxcpus(boot):
    with boot("cmdline=maxcpus=2\n", cpus=4) as guest:
        assert len(cpus(guest)) == 2
        assert_checks(guest)


def test_a_panic_stops_all_and_says_where(boot):
    with boot(cpus=4) as guest:
        guest.run("spawn spin --count 6")
        start = len(guest.lines.done)
        guest.type("panic")
        assert guest.wait_end(60).reason == "debug-exit"
        text = "\n".join(guest.lines.done[start:])
        assert re.search(r"CPU \d+, thread \d+ \(shell\)", text), text
        assert "The kernel has stopped" in text
