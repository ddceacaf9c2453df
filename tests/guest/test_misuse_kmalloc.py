# SPDX-License-Identifier: MIT
"""
Every wrong use of kmalloc, provoked by `test misuse`: what the report says and who it names. As
released, with debug=1 alone, with every object guarded, with both (the debug preset, whose own
settings are taken when that is what was built), and in a build that checks every access (KASAN).

docs/assurance.md has the table: which row is caught where.
"""

import re

import pytest
from books import assert_balanced, assert_checks, assert_comes_back, counters
from conftest import DEBUG_PRESET, KASAN
from endings import provoke as provoke_end

CPUS = 2
# Samples would guard an object now and then; what a test reads shall not depend on it.
PLAIN = "cmdline=debug=0 kfence=off track=1\n"
GUARDED = "cmdline=debug=0 kfence=every\n"
DEBUG = "cmdline=debug=1 kfence=off\n"
PRESET = None if DEBUG_PRESET else "cmdline=debug=1 kfence=every\n"

ALLOCATED, FREED = r"allocated by kmalloc_owner\+0x", r"freed by +kmalloc_first_free\+0x"
# (The class is larger where there is a redzone.)
OBJECT = r"object +0x[0-9a-f]+, 64 bytes, class kmalloc-(64|128), pfn 0x[0-9a-f]+"
CULPRIT, WRITER = r"caller +kmalloc_culprit\+0x", r"caller +kmalloc_write_culprit\+0x"
READER = r"caller +kmalloc_read_culprit\+0x"

# `test misuse NAME`, refused in every build: the sentence, and what else the report must say.
FREES = {
    "kmalloc-double-free": ("double free", OBJECT, ALLOCATED, FREED),
    "kmalloc-double-free-later": ("double free", OBJECT, ALLOCATED, FREED),
    "kmalloc-unaligned": ("free of an interior pointer", OBJECT, r"place +byte 1 of it",
                          ALLOCATED),
    "kmalloc-interior": ("free of an interior pointer", OBJECT, r"place +byte 32 of it",
                         ALLOCATED),
    "kmalloc-interior-large": ("free of an interior pointer",
                               r"object +0x[0-9a-f]+, 2(0480|4576) bytes",
                               r"place +byte 4096 of it", ALLOCATED),
    "kmalloc-invalid": ("free of a foreign pointer",),
    "kmalloc-foreign": ("free of a foreign pointer",),
    "kmalloc-pages": ("free of pages that are not kmalloc's", r"object +0x[0-9a-f]+, 4096 bytes"),
}
# The same where freed objects wait before their slots are used again: debug=1, guarded, KASAN.
REUSED = {"kmalloc-double-free-reused": ("double free", OBJECT, ALLOCATED, FREED)}

# Bytes, by a fault: the culprit is named.
SMALL = r"object +0x[0-9a-f]+, {} bytes, class kmalloc-{}, pfn 0x[0-9a-f]+"
FAULTS = {
    "kmalloc-overflow-edge": ("write behind the end of an object", SMALL.format(64, 64),
                              r"place +1 bytes behind its end"),
    "kmalloc-overflow-slack": ("write behind the end of an object", SMALL.format(60, 64),
                               r"place +1 bytes behind its end"),
    "kmalloc-underflow": ("write before the start of an object", SMALL.format(64, 64),
                          r"place +1 bytes before its start"),
    "kmalloc-underflow-first": ("write before the start of an object", SMALL.format(3000, 3072),
                                r"place +1 bytes before its start"),
    "kmalloc-overflow-read": ("read behind the end of an object", SMALL.format(64, 64), READER,
                              r"place +1 bytes behind its end"),
    "kmalloc-read-after-free": ("use after free: read", SMALL.format(64, 64), READER,
                                r"place +byte 5 of it", FREED),
    "kmalloc-write-after-free": ("use after free: write", SMALL.format(64, 64), WRITER,
                                 r"place +byte 5 of it", FREED),
}
# Bytes, by redzones and poison: found for certain, by whoever comes there next.
REDZONES = {
    "kmalloc-overflow-edge": ("write behind the end of an object", SMALL.format(64, 128),
                              r"place +1 bytes behind its end"),
    "kmalloc-overflow-slack": ("write behind the end of an object", SMALL.format(60, 80),
                               r"place +1 bytes behind its end"),
    "kmalloc-underflow": ("write before the start of an object", SMALL.format(64, 128),
                          r"place +1 bytes before its start"),
    "kmalloc-underflow-first": ("write before the start of an object", SMALL.format(3000, 3072),
                                r"place +1 bytes before its start"),
    "kmalloc-write-after-free": ("write after free", SMALL.format(64, 128),
                                 r"place +byte 5 of it", FREED),
}
LARGE = {
    "kmalloc-overflow-large": ("write behind the end of an object",
                               r"object +0x[0-9a-f]+, 20000 bytes", r"place +1 bytes behind"),
}
# By KASAN, which ends the kernel: the heading, and the object.
WROTE = r"\*\*\* KASAN: {}: write of 1 bytes at 0x[0-9a-f]{{16}} by kmalloc_write_culprit\+0x"
READ = r"\*\*\* KASAN: {}: read of 1 bytes at 0x[0-9a-f]{{16}} by kmalloc_read_culprit\+0x"
OUT = "heap out-of-bounds"
ACCESSES = {
    "kmalloc-overflow-edge": (WROTE.format(OUT), r"0 bytes past an object of 64 bytes"),
    "kmalloc-overflow-slack": (WROTE.format(OUT), r"0 bytes past an object of 60 bytes"),
    "kmalloc-overflow-large": (WROTE.format(OUT), r"0 bytes past an object of 20000 bytes"),
    "kmalloc-underflow": (WROTE.format(OUT), r"\b1 bytes before an object of 64 bytes"),
    "kmalloc-underflow-first": (WROTE.format(r"heap out-of-bounds \(room that was never .*\)"),
                                r"\b1 bytes before an object of 3000 bytes"),
    "kmalloc-overflow-read": (READ.format(OUT), r"0 bytes past an object of 64 bytes"),
    "kmalloc-read-after-free": (READ.format("use after free"),
                                r"at byte 5 of an object of 64 bytes", FREED),
    "kmalloc-write-after-free": (WROTE.format("use after free"),
                                 r"at byte 5 of an object of 64 bytes", FREED),
}
# Those with a test of their own below.
OTHERS = ("kmalloc-wrong-cache", "kmalloc-leak", "kmalloc-header")

not_kasan = pytest.mark.skipif(KASAN, reason="this build sees the access itself")
only_kasan = pytest.mark.skipif(not KASAN, reason="KASAN")


@pytest.fixture(name="plain", scope="module")
def fixture_plain(boot):
    with boot(cpus=CPUS, config=PLAIN) as guest:
        yield guest


@pytest.fixture(name="guarded", scope="module")
def fixture_guarded(boot):
    with boot(cpus=CPUS, config=GUARDED) as guest:
        yield guest


@pytest.fixture(name="debug", scope="module")
def fixture_debug(boot):
    with boot(cpus=CPUS, config=DEBUG) as guest:
        yield guest


@pytest.fixture(name="preset", scope="module")
def fixture_preset(boot):
    with boot(cpus=CPUS, config=PRESET) as guest:
        yield guest


def provoke(guest, line):
    """What the kernel logged; the books were checked by the command itself."""
    start = len(guest.kernel_lines())
    text = guest.run(line, timeout=120)
    guest.wait_prompt()
    report = "\n".join(guest.kernel_lines()[start:])
    assert "the kernel went on" in text, text + report
    return report


def assert_report(report, sentence, *patterns):
    assert re.search(rf"misuse: kmalloc: {sentence}: 0x[0-9a-f]+", report), report
    for pattern in patterns:
        assert re.search(pattern, report, re.M), f"{pattern}\n{report}"


def assert_refused(guest, name, cpu, patterns):
    report = provoke(guest, f"test misuse {name} --cpu {cpu}")
    assert_report(report, *patterns, CULPRIT)
    assert report.count("(refused)") == 1, report
    assert re.search(rf"on CPU +{cpu}$", report, re.M), report


def test_every_misuse_of_kmalloc_is_tested(plain):
    """By name; and in the debug and KASAN builds no row is left out."""
    listed = set(re.findall(r"^  (kmalloc-\S+)", plain.run("test misuse"), re.M))
    assert listed == {*FREES, *REUSED, *ACCESSES, *OTHERS}
    assert {*FAULTS, *LARGE} == {*ACCESSES} and {*REDZONES} < {*FAULTS}


@pytest.mark.parametrize("cpu", range(CPUS))
@pytest.mark.parametrize("name", FREES)
def test_wrong_frees(plain, name, cpu):
    assert_refused(plain, name, cpu, FREES[name])


@not_kasan
def test_the_new_owner_of_a_slot_is_told(plain):
    """Without quarantine the second free hits the next owner, whose own is refused."""
    report = provoke(plain, "test misuse kmalloc-double-free-reused")
    assert_report(report, "double free", OBJECT, ALLOCATED, r"caller +kmalloc_first_free\+0x",
                  r"freed by +kmalloc_culprit\+0x")


@only_kasan
def test_reuse_is_seen_at_once(plain):
    assert_refused(plain, "kmalloc-double-free-reused", 1, REUSED["kmalloc-double-free-reused"])


@not_kasan
@pytest.mark.parametrize("name", {**FREES, **REUSED})
def test_wrong_frees_with_debug(debug, name):
    assert_refused(debug, name, 1, {**FREES, **REUSED}[name])


@not_kasan
@pytest.mark.parametrize("name", {**FREES, **REUSED})
def test_wrong_frees_in_the_debug_preset(preset, name):
    assert_refused(preset, name, 1, {**FREES, **REUSED}[name])


def test_wrong_cache(plain):
    report = provoke(plain, "test misuse kmalloc-wrong-cache")
    assert_report(report, "free to the wrong cache", r"given to +misuse-wrong",
                  r"class misuse-right", r"caller +kmem_cache_culprit\+0x")


def test_leak_at_cache_destroy(plain):
    report = provoke(plain, "test misuse kmalloc-leak")
    assert_report(report, "cache destroyed while objects are live",
                  r"cache +misuse-leak: 5 objects of 64 bytes are live",
                  r"caller +kmem_destroy_culprit\+0x")
    live = re.findall(r"live +0x[0-9a-f]+, allocated by misuse_provoke_kmalloc_leak\+0x", report)
    assert len(live) == 4, report


def test_overwritten_header_is_found_by_check(plain):
    report = provoke(plain, "test misuse kmalloc-header")
    assert re.search(r"check: kmalloc: ", report), report
    assert_checks(plain)


@not_kasan
def test_without_surroundings_nothing_is_written(plain):
    text = plain.run("test misuse kmalloc-overflow-edge")
    assert "nothing around it" in text, text


@not_kasan
def test_panic_on_a_fault(boot):
    with boot(config="cmdline=kfence=every panic_on_corruption=1\n") as guest:
        guest.type("test misuse kmalloc-read-after-free")
        ending = guest.wait_end()
        assert ending.reason == "debug-exit", ending
        assert "use after free: read" in guest.text()


def assert_guarded(guest, name, cpu, rows):
    hits = guest.run_json("kfence --json")["hits"]
    report = provoke(guest, f"test misuse {name} --cpu {cpu}")
    assert_report(report, *rows[name], ALLOCATED)
    seen = guest.run_json("kfence --json")
    assert seen["hits"] > hits
    assert seen["last"][0]["what"] == rows[name][0], seen
    assert "kmalloc_owner" in seen["last"][0]["allocated_by"], seen
    assert rows[name][0] in guest.run("kfence")


@not_kasan
@pytest.mark.parametrize("cpu", range(CPUS))
@pytest.mark.parametrize("name", {**FAULTS, **REUSED})
def test_guarded(guarded, name, cpu):
    assert_guarded(guarded, name, cpu, {**FAULTS, **REUSED})


@not_kasan
@pytest.mark.parametrize("name", {**REDZONES, **LARGE})
def test_redzones(debug, name):
    assert_report(provoke(debug, f"test misuse {name}"), *{**REDZONES, **LARGE}[name], ALLOCATED)


@not_kasan
@pytest.mark.parametrize("name", FAULTS)
def test_bytes_in_the_debug_preset(preset, name):
    assert_guarded(preset, name, 1, FAULTS)


@not_kasan
def test_large_objects_in_the_debug_preset(preset):
    report = provoke(preset, "test misuse kmalloc-overflow-large")
    assert_report(report, *LARGE["kmalloc-overflow-large"], ALLOCATED)


@pytest.fixture(name="saved", scope="module")
def fixture_saved(boot, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "misuse"
    with boot(cpus=CPUS, config=PLAIN) as guest:
        guest.save(path)
    return path


@only_kasan
@pytest.mark.parametrize("name", ACCESSES)
def test_bytes_with_kasan(boot, saved, name):
    with boot(prompt=False, resume=saved, cpus=CPUS, config=PLAIN) as guest:
        text, ending = provoke_end(guest, lambda g: g.type(f"test misuse {name}"))
    assert ending.reason == "debug-exit" and text.count("*** KASAN: ") == 1, f"{ending}\n{text}"
    for pattern in (*ACCESSES[name], ALLOCATED):
        assert re.search(pattern, text), f"{pattern}\n{text}"


def freed(guest):
    """An object's address, after it was freed while the trace was on; the trace."""
    guest.run("trace on")
    address = guest.run_json("alloc 1000 --json")["address"]
    guest.run(f"free {address}")
    trace = guest.run_json("trace show 200 --json")
    guest.run("trace off")
    return address, trace["events"]


@pytest.mark.parametrize("machine", ("plain", "debug"))
def test_to_its_caller_an_object_is_free_at_once(machine, request):
    """In quarantine too: in the trace, in `owner`, in figures of its own."""
    guest = request.getfixturevalue(machine)
    waits = machine == "debug" or KASAN
    before = guest.run_json("kmalloc --json")
    address, events = freed(guest)
    frees = [e for e in events if e["operation"] == "kfree" and e["address"] == address]
    assert len(frees) == 1 and frees[0]["caller"].startswith("run_free+"), events
    guest.run(f"free {guest.run_json('alloc 1000 --json')['address']}")
    after = guest.run_json("kmalloc --json")
    assert (after["live_objects"], after["live_bytes"]) == \
        (before["live_objects"], before["live_bytes"])
    assert (after["quarantined_objects"] > 0 and after["quarantined_bytes"] >= 1000) == waits
    assert ("in quarantine" in guest.run("kmalloc")) == waits


@not_kasan
def test_check_finds_it_too(debug):
    assert_checks(debug)


@not_kasan
def test_self_tests_pass_with_all_of_it(boot):
    with boot(cpus=CPUS, config="cmdline=debug=1 kfence=every\n") as guest:
        before = counters(guest)
        result = guest.run_json("test --json", timeout=300)
        assert result["failed"] == 0, result
        assert_comes_back(guest, before)
        assert_balanced(guest)
        assert_checks(guest)


@not_kasan
def test_sampling_is_on_by_default(boot):
    with boot() as guest:
        first = guest.run_json("kfence --json")
        if DEBUG_PRESET:
            assert first["every"] and first["slots"] > 255, first
            return
        assert first["present"] and first["rate_ms"] == 100 and first["slots"] > 100, first
        for _ in range(20):
            guest.idle(0.2)
            guest.run("alloc 64")
            if guest.run_json("kfence --json")["sampled"] > 0:
                break
        else:
            pytest.fail("nothing was ever sampled")
        assert guest.run_json("kfence 1000 --json")["rate_ms"] == 1000
        assert guest.run_json("kfence off --json")["rate_ms"] == 0
        assert "neither" in guest.run("kfence 1x")
        assert_balanced(guest)
        assert_checks(guest)
