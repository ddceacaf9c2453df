# SPDX-License-Identifier: MIT
"""Threads by the thousand, and nothing left behind."""

import time

import pytest
import qemu
from books import assert_balanced, assert_checks, assert_comes_back, counters

WORKLOADS = ("spin", "sleep", "producer-consumer", "churn")


def threads(guest):
    return guest.run_json("queues --json")["threads"]


def wait_for(guest, condition, seconds=30):
    end = qemu.deadline(seconds)
    while not condition():
        assert time.monotonic() < end
        guest.idle(0.2)


def test_a_thousand_threads_come_and_go(guest):
    before = counters(guest)
    queues = guest.run_json("queues --json")
    guest.run("spawn sleep --count 1000 --seconds 8", timeout=60)
    during = guest.run_json("queues --json")
    assert during["created"] >= queues["created"] + 1000
    assert during["threads"] >= before["threads"] + 1000, during
    listed = guest.run_json("ps --json", timeout=120)["threads"]
    assert len(listed) >= 1000
    assert len({t["id"] for t in listed}) == len(listed)
    assert_balanced(guest)
    assert_checks(guest)
    assert_comes_back(guest, before, seconds=60)
    after = guest.run_json("queues --json")
    assert after["ended"] >= queues["ended"] + 1000
    assert_checks(guest)


@pytest.mark.parametrize("name", WORKLOADS)
def test_workload_runs_and_ends(guest, name):
    before = counters(guest)
    guest.run(f"spawn {name} --count 3 --seconds 2")
    assert threads(guest) >= before["threads"] + 3
    assert_balanced(guest)
    assert_comes_back(guest, before, seconds=60)
    assert_checks(guest)
    done = next(w for w in guest.run_json("spawn --json")["workloads"] if w["name"] == name)
    assert done["threads_ended"] == done["threads_started"] >= 3
    assert done["iterations"] > 0 and done["errors"] == 0, done


def test_kill_ends_a_spinning_thread(guest):
    before = counters(guest)
    known = {t["id"] for t in guest.run_json("ps --json")["threads"]}
    guest.run("spawn spin")
    new = [t for t in guest.run_json("ps --json")["threads"] if t["id"] not in known]
    assert new
    for thread in new:
        guest.run(f"kill {thread['id']}")
    assert_comes_back(guest, before)


def test_the_shell_answers_while_others_compute(guest):
    before = counters(guest)
    guest.run("spawn spin --count 20 --seconds 3")
    started = time.monotonic()
    guest.run("version")
    assert time.monotonic() - started < 10
    preempted = guest.run_json("queues --json")["preemptions"]
    wait_for(guest, lambda: guest.run_json("queues --json")["preemptions"] > preempted)
    assert_comes_back(guest, before, seconds=60)


def test_every_thread_is_in_one_place(guest):
    queues = guest.run_json("queues --json")
    places = ("running", "ready", "sleeping", "waiting", "dead")
    assert queues["threads"] == sum(queues[place] for place in places), queues
    assert sum(queues["ready_by_priority"]) == queues["ready"]


def test_kill_refuses_what_must_not_end(guest):
    for line in ("kill 0", "kill 99999999", "kill x"):
        text = guest.run(line)
        assert text.startswith("kill: ") and "\n" not in text, text
    assert_checks(guest)
