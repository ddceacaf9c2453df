# SPDX-License-Identifier: MIT
"""
Memory runs out: made to, call by call, and for real. Every command ends in one clear line and
leaves nothing behind. (Of the boot: test_boot_failures.py.)
"""

import re
import time

import pytest
from books import assert_balanced, assert_checks, assert_comes_back, counters

SMALL = {"memory": 128 << 20, "cpus": 2}

# Commands that may be run over and over, each with what it does not come to an end without.
SWEPT = ("mem", "pages", "zones", "kmalloc", "caches", "memmap", "ps", "queues", "percpu", "cpu",
         "time", "log", "version", "check", "help", "alloc 300", "alloc 100K", "alloc --order 3",
         "peek 0x200000", "spawn", "spawn noop", "spawn noop --count 5", "spawn sleep --seconds 1",
         "spawn churn --seconds 1", "spawn producer-consumer --seconds 1", "trace on; trace off",
         "bench --quick kmalloc-64", "bench --quick page-0", "bench --quick thread-life",
         "test bounds", "test mutex", "test queue")


@pytest.fixture(name="machine", scope="module")
def fixture_machine(boot):
    with boot(**SMALL) as guest:
        yield guest


@pytest.fixture(name="guest")
def fixture_guest(machine):
    """Nothing is watched, and nothing runs, whatever became of the test before."""
    machine.run("fail off; trace off; kill all")
    return machine


def state(guest, which):
    return guest.run_json("fail --json")[which]


# ---- fail ----

def test_the_nth_call_fails(guest):
    before = counters(guest)
    guest.run("fail kmalloc nth=2 caller=run_queues")
    assert "wait queues" in guest.run("queues")
    text = guest.run("queues")
    assert text == "queues: no memory for the list of queues (try: help queues)", text
    assert "wait queues" in guest.run("queues")
    now = state(guest, "kmalloc")
    assert now["on"] and now["calls"] == 3 and now["failures"] == 1, now
    assert now["last_caller"].startswith("run_queues+") and now["only"] == "run_queues", now
    guest.run("fail off")
    now = state(guest, "kmalloc")
    assert not now["on"] and now["failures"] == 1, now
    assert counters(guest) == before


def test_every_and_from(guest):
    guest.run("fail page from=1")
    assert "spawn: out of memory" in guest.run("spawn noop")
    assert guest.run("alloc --order 0").startswith("alloc: no ")
    assert "ADDR" in guest.run("help free")
    guest.run("fail page every=1000000")
    assert "started" in guest.run("spawn noop")
    guest.run("fail off")
    assert_checks(guest)


def test_chance_repeats_with_its_seed(guest):
    def pattern():
        guest.run("fail kmalloc prob=50% seed=7 caller=run_queues")
        found = ["no memory" in guest.run("queues") for _ in range(12)]
        guest.run("fail off")
        return found

    first = pattern()
    assert True in first and False in first
    assert pattern() == first


@pytest.mark.parametrize("line", (
    "fail kmalloc", "fail kmalloc nth=0", "fail kmalloc nth=x", "fail page prob=2",
    "fail page every=2 nth=3", "fail kmalloc caller=no_such nth=1", "fail heap nth=1",
    "fail kmalloc 3", "fail off now", "fail sweep", "fail sweep --max 0 mem",
    "fail sweep --what mem", "fail sweep fail off", "fail sweep nonsense"))
def test_wrong_plans_get_one_line(guest, line):
    text = guest.run(line)
    assert text.startswith("fail: ") and "\n" not in text, text
    assert not state(guest, "kmalloc")["on"] and not state(guest, "page")["on"]


# ---- the sweep ----

@pytest.mark.parametrize("line", SWEPT)
def test_sweep(guest, line):
    """Each allocation the command makes fails in turn; all counters come back each time."""
    most = 8 if "--seconds" in line else 40
    result = guest.run_json(f"fail sweep --json --max {most} '{line}'", timeout=280)
    assert result["line"] == line
    for run in result["runs"]:
        assert run["left"] is None, run
        assert not run["failed"] or re.search(r"^\w+: |\d failed$", run["said"]), run
    assert result["wrong"] == 0
    assert guest.run("version").startswith("Quire")


def test_sweep_meets_the_ways_to_make_a_thread(guest):
    """That it finds the calls there are: those of a thread, its stack, and its page table."""
    runs = guest.run_json("fail sweep --json spawn noop")["runs"]
    sites = {(run["allocator"], run["site"].split("+")[0]) for run in runs}
    assert {("kmalloc", "workload_spawn"), ("kmalloc", "thread_new"),
            ("page", "port_stack_alloc")} <= sites, sites


def test_sweep_with_memory_staying_out(guest):
    result = guest.run_json("fail sweep --from --json --max 8 'spawn producer-consumer "
                            "--seconds 1'", timeout=280)
    assert result["runs"] and result["wrong"] == 0, result
    assert_checks(guest)


def test_books_are_the_same_after_all(guest):
    guest.run("fail off")
    assert_balanced(guest)
    assert_checks(guest)


# ---- for real ----

def test_hog_takes_all_and_the_shell_answers(guest):
    before = counters(guest)
    guest.run("spawn hog --seconds 60")
    deadline = time.monotonic() + 30
    while guest.run_json("mem --json")["free_pages"] > 16:
        assert time.monotonic() < deadline
    assert_balanced(guest)
    for line in ("mem", "ps", "help", "version", "pages", "kmalloc", "time", "zones", "spawn"):
        assert len(guest.run(line)) > 20, line
    assert any(t["name"] == "hog" for t in guest.run_json("ps --json")["threads"])
    assert_checks(guest)
    for line in ("alloc 1M", "alloc --order 0", "spawn spin", "queues", "trace on"):
        text = guest.run(line)
        assert text.startswith(line.split()[0] + ": ") and "\n" not in text, text
    guest.wait_prompt()
    for key in ("verXsion", "\x1b[D", "\x1b[D", "\x1b[D", "\x1b[D", "\x7f"):
        guest.type(key, enter=False)
        guest.idle(0.1)
    assert guest.run_typed().startswith("Quire")
    assert "will end" in guest.run("kill hog")
    assert_comes_back(guest, before)
    assert_checks(guest)
    done = next(w for w in guest.run_json("spawn --json")["workloads"] if w["name"] == "hog")
    assert done["errors"] == 0 and done["bytes"] > before["free_pages"] * 4096 * 95 // 100, done


def test_hog_ends_by_itself(guest):
    before = counters(guest)
    guest.run("spawn hog --seconds 2")
    deadline = time.monotonic() + 30
    while any(t["name"] == "hog" for t in guest.run_json("ps --json")["threads"]):
        assert time.monotonic() < deadline
        guest.idle(0.5)
    assert_comes_back(guest, before)


# ---- trace ----

def test_trace_shows_calls_with_callers_and_gives_its_memory_back(guest):
    before = counters(guest)
    guest.run("trace on 100")
    guest.run("trace clear")
    where = guest.run_json("alloc 300 --json")
    guest.run(f"free {where['address']}")
    block = guest.run_json("alloc --order 5 --json")["address"]
    guest.run(f"free {block}")
    trace = guest.run_json("trace show 1000 --json")
    assert trace["on"] and trace["overwritten"] == 0, trace
    mine = [e for e in trace["events"]
            if e["address"] == where["address"] and e["operation"] in ("kmalloc", "kfree")]
    assert [e["operation"] for e in mine] == ["kmalloc", "kfree"], mine
    assert mine[0]["bytes"] == 300 and mine[0]["ns"] < mine[1]["ns"]
    assert mine[0]["caller"].startswith("run_alloc+") and mine[1]["caller"].startswith("run_free+")
    pages = [e for e in trace["events"] if e["bytes"] == 32 * 4096]
    assert [e["operation"] for e in pages] == ["page_alloc", "page_free"], trace
    assert pages[0]["address"] == pages[1]["address"] != block
    assert pages[1]["caller"].startswith("run_free+"), pages
    guest.run("trace off")
    assert guest.run_json("trace --json")["on"] is False
    assert counters(guest) == before


def test_trace_overwrites_the_oldest_and_shows_the_newest_last(guest):
    guest.run("trace on 64")
    capacity = guest.run_json("trace --json")["capacity"]
    for _ in range(3):
        guest.run("spawn noop --count 20")
        guest.idle(0.3)
    trace = guest.run_json("trace show 10000 --json")
    assert trace["capacity"] == capacity and trace["recorded"] > capacity
    assert trace["overwritten"] == trace["recorded"] - capacity
    times = [e["ns"] for e in trace["events"]]
    assert len(times) <= capacity and times == sorted(times)
    text = guest.run("trace show 5")
    assert re.search(r"5 shown of \d+ recorded; the first \d+ are overwritten", text), text
    guest.run("trace off")
    for line in ("trace off", "trace clear", "trace show", "trace what", "trace on 0"):
        assert guest.run(line).startswith("trace: "), line
