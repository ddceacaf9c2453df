# SPDX-License-Identifier: MIT
"""
Memory runs out: made to, call by call, and for real. Every command ends in one clear line and
leaves nothing behind. (Of the boot: test_boot_failures.py.)
"""

import re
import time

import pytest
from books import assert_balanced, assert_checks, assert_comes_back, counters
from conftest import DEBUG_PRESET, KASAN

SMALL = {"memory": 128 << 20, "cpus": 2}

# Lines for each command, to be run over and over: a new command stands here, or below.
SWEPT = {
    "alloc": ("alloc", "alloc 300", "alloc 100K", "alloc --order 3", "alloc --order 3 --below 4G"),
    "bench": ("bench --list", "bench --quick page-0", "bench --quick page-bulk",
              "bench --quick kmalloc-64", "bench --quick kmalloc-65536",
              "bench --quick kmem-cache", "bench --quick thread-life",
              "bench --quick recovery-50"),
    "caches": ("caches", "caches --json"),
    "check": ("check",),
    "clear": ("clear",),
    "cpu": ("cpu", "cpu --json"),
    "echo": ("echo one two",),
    "help": ("help", "help --json", "help sweep; help fail"),
    "kfence": ("kfence", "kfence --json", "kfence every; kfence off; kfence on"),
    "kill": ("spawn sleep --count 3; kill sleep",),
    "kmalloc": ("kmalloc", "kmalloc --json"),
    "leaks": ("leaks", "leaks --json", "leaks on; leaks --all; leaks off"),
    "log": ("log", "log -n 5 warn"),
    "mem": ("mem", "mem --json"),
    "memmap": ("memmap", "memmap --json"),
    "owner": ("owner 0x200000", "owner 0xffffffff80001000 --json"),
    "pages": ("pages", "pages --json"),
    "peek": ("peek 0x200000", "peek --pfn 512"),
    "percpu": ("percpu", "percpu --json"),
    "ps": ("ps", "ps --json"),
    "queues": ("queues", "queues --json"),
    "spawn": ("spawn", "spawn noop", "spawn noop --count 5"),  # and every workload, below
    "stress": ("stress --ops 1000",),
    "test": ("test misuse", "test fault"),  # and every one of them, below
    "time": ("time", "time --json"),
    "trace": ("trace on; trace; trace show; trace clear; trace off",
              "trace on 64; spawn noop --count 3; trace show 10; trace off"),
    "version": ("version",),
    "zones": ("zones", "zones --json"),
}
NOT_SWEPT = {
    "fail": "it would undo the failures of the sweep",
    "free": "only a run of alloc tells what may be freed: test_free_needs_no_memory",
    "panic": "it ends the kernel",
    "poweroff": "it ends the machine",
    "reboot": "it ends the machine",
}
# Runs of a line an allocator, where a run takes its time.
FEW = {"bench": 8, "stress": 12}


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

def sweep(guest, line, most=40):
    """Each allocation the line makes fails in turn; all counters come back each time."""
    result = guest.run_json(f"fail sweep --json --max {most} '{line}'", timeout=280)
    assert result["line"] == line
    for run in result["runs"]:
        assert run["left"] is None, f"{line}: {run}"
        assert not run["failed"] or re.search(r"^\w+: |\d failed$", run["said"]), run
    assert result["wrong"] == 0, result
    return result["runs"]


def test_every_command_is_swept(guest):
    commands = {c["name"] for c in guest.run_json("help --json")["commands"]}
    assert commands == SWEPT.keys() | NOT_SWEPT.keys()
    assert not SWEPT.keys() & NOT_SWEPT.keys()


# (A KASAN build has no guarded objects.)
@pytest.mark.parametrize("name", sorted(SWEPT.keys() - {"kfence"}) if KASAN else SWEPT)
def test_sweep(guest, name):
    for line in SWEPT[name]:
        sweep(guest, line, FEW.get(name, 40))
    assert_checks(guest)


def test_sweep_of_every_workload(guest):
    """To their ends, and for a while: what their threads ask for fails as well."""
    workloads = [w["name"] for w in guest.run_json("spawn --json")["workloads"]]
    assert len(workloads) >= 8
    for name in workloads:
        if name != "noop":  # it has ended before it can be killed
            assert sweep(guest, f"spawn {name}; kill {name}", 15)
    for name in ("mixed", "producer-consumer"):
        sweep(guest, f"spawn {name} --seconds 1", 4)
    assert_checks(guest)


def test_sweep_of_every_self_test(guest):
    results = guest.run_json("test --json", timeout=240)
    tests = [name for name, result in results.items() if result == "ok"]
    assert len(tests) == results["passed"] >= 17, results
    for name in tests:
        sweep(guest, f"test {name}", 12)
    assert_checks(guest)


def test_sweep_of_every_misuse(guest):
    names = re.findall(r"^  ((?:page|kmalloc)-[\w-]+) ", guest.run("test misuse"), re.MULTILINE)
    assert len(names) >= 40
    names = set(names) - {"kmalloc-overflow-large", "page-write"}  # these need debug=1
    if DEBUG_PRESET:  # each page says who freed it, and a hog had them all
        names.discard("page-never-allocated")
    if KASAN:  # which ends at the first wrong access
        names = {n for n in names if not re.match("kmalloc-(over|under|read|write)|page-write", n)}
    for name in names:
        guarded = re.match(r"kmalloc-(over|under|read|write)", name)
        guest.run("kfence every" if guarded else "kfence off")
        sweep(guest, f"test misuse {name}", 6)
    guest.run("kfence on")
    assert_checks(guest)


def test_free_needs_no_memory(guest):
    before = counters(guest)
    for line in ("alloc 300 --json", "alloc 100K --json", "alloc --order 3 --json"):
        address = guest.run_json(line)["address"]
        guest.run("fail kmalloc from=1")
        guest.run("fail page from=1")
        assert re.search("freed|given back|free", guest.run(f"free {address}")), line
        met = guest.run_json("fail --json")
        guest.run("fail off")
        assert met["kmalloc"]["failures"] == met["page"]["failures"] == 0, met
    assert_comes_back(guest, before)


@pytest.mark.parametrize("line", ("alloc 300; queues", "alloc 300; alloc 300; echo done"))
def test_sweep_sees_what_is_left(guest, line):
    """The first keeps its object where the second command fails; the other has one less."""
    result = guest.run_json(f"fail sweep --json --max 10 '{line}'")
    assert result["keeps_memory"] and result["wrong"] > 0, result
    assert "kmalloc'd objects are left over" in [run["left"] for run in result["runs"]]


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
