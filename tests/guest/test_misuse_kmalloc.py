# SPDX-License-Identifier: MIT
"""
Every wrong use of kmalloc, provoked by `test misuse`: what the report says and who it names. Three
machines: as released, with every object guarded, and with redzones (debug=1).
"""

import re

import pytest
from books import assert_balanced, assert_checks, assert_comes_back, counters

CPUS = 2
# Samples would guard an object now and then; what a test reads shall not depend on it.
PLAIN = "cmdline=debug=0 kfence=off track=1\n"
GUARDED = "cmdline=debug=0 kfence=every\n"
DEBUG = "cmdline=debug=1 kfence=off\n"

ALLOCATED, FREED = r"allocated by kmalloc_owner\+0x", r"freed by +kmalloc_first_free\+0x"
OBJECT = r"object +0x[0-9a-f]+, 64 bytes, class kmalloc-64, pfn 0x[0-9a-f]+"

# `test misuse NAME` in the release build: the sentence, and what else the report must say.
RELEASE = {
    "kmalloc-double-free": ("double free", OBJECT, ALLOCATED, FREED),
    "kmalloc-double-free-later": ("double free", OBJECT, ALLOCATED, FREED),
    "kmalloc-unaligned": ("free of an interior pointer", OBJECT, r"place +byte 1 of it",
                          ALLOCATED),
    "kmalloc-interior": ("free of an interior pointer", OBJECT, r"place +byte 32 of it",
                         ALLOCATED),
    "kmalloc-interior-large": ("free of an interior pointer", r"object +0x[0-9a-f]+, 20480 bytes",
                               r"place +byte 4096 of it", ALLOCATED),
    "kmalloc-invalid": ("free of a foreign pointer",),
    "kmalloc-foreign": ("free of a foreign pointer",),
    "kmalloc-pages": ("free of pages that are not kmalloc's", r"object +0x[0-9a-f]+, 4096 bytes"),
}
# The same, and what nothing but a guarded page shows.
FAULTS = {
    "kmalloc-overflow-edge": ("write behind the end of an object",
                              r"place +1 bytes behind its end"),
    "kmalloc-overflow-slack": ("write behind the end of an object",
                               r"object +0x[0-9a-f]+, 60 bytes, class kmalloc-64, pfn 0x"),
    "kmalloc-underflow": ("write before the start of an object",
                          r"place +1 bytes before its start"),
    "kmalloc-overflow-read": ("read behind the end of an object",
                              r"caller +kmalloc_read_culprit\+0x"),
    "kmalloc-read-after-free": ("use after free: read", r"caller +kmalloc_read_culprit\+0x",
                                r"place +byte 5 of it", FREED),
    "kmalloc-write-after-free": ("use after free: write", r"caller +kmalloc_write_culprit\+0x",
                                 FREED),
    "kmalloc-double-free": ("double free", FREED),
    "kmalloc-double-free-reused": ("double free", FREED),
}
# With redzones, poison and quarantine: found for certain, by whoever comes there next.
REDZONES = {
    "kmalloc-overflow-edge": ("write behind the end of an object",
                              r"object +0x[0-9a-f]+, 64 bytes, class kmalloc-128",
                              r"place +1 bytes behind its end"),
    "kmalloc-overflow-slack": ("write behind the end of an object",
                               r"object +0x[0-9a-f]+, 60 bytes, class kmalloc-80",
                               r"place +1 bytes behind its end"),
    "kmalloc-overflow-large": ("write behind the end of an object",
                               r"object +0x[0-9a-f]+, 20000 bytes", r"place +1 bytes behind"),
    "kmalloc-underflow": ("write before the start of an object",
                          r"place +1 bytes before its start"),
    "kmalloc-write-after-free": ("write after free", r"place +byte 5 of it", FREED),
    "kmalloc-double-free-reused": ("double free", FREED),
}
CULPRIT = r"caller +kmalloc_culprit\+0x"


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


@pytest.mark.parametrize("cpu", range(CPUS))
@pytest.mark.parametrize("name", RELEASE)
def test_wrong_frees(plain, name, cpu):
    report = provoke(plain, f"test misuse {name} --cpu {cpu}")
    assert_report(report, *RELEASE[name], CULPRIT)
    assert report.count("(refused)") == 1, report
    assert re.search(rf"on CPU +{cpu}$", report, re.M), report


def test_the_new_owner_of_a_slot_is_told(plain):
    """Without quarantine the second free hits the next owner, whose own is refused."""
    report = provoke(plain, "test misuse kmalloc-double-free-reused")
    assert_report(report, "double free", r"caller +kmalloc_first_free\+0x",
                  r"freed by +kmalloc_culprit\+0x")


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


def test_without_surroundings_nothing_is_written(plain):
    text = plain.run("test misuse kmalloc-overflow-edge")
    assert "nothing around it" in text, text


def test_panic_on_a_fault(boot):
    with boot(config="cmdline=kfence=every panic_on_corruption=1\n") as guest:
        guest.type("test misuse kmalloc-read-after-free")
        ending = guest.wait_end()
        assert ending.reason == "debug-exit", ending
        assert "use after free: read" in guest.text()


@pytest.mark.parametrize("cpu", range(CPUS))
@pytest.mark.parametrize("name", FAULTS)
def test_guarded(guarded, name, cpu):
    hits = guarded.run_json("kfence --json")["hits"]
    report = provoke(guarded, f"test misuse {name} --cpu {cpu}")
    assert_report(report, *FAULTS[name], ALLOCATED)
    seen = guarded.run_json("kfence --json")
    assert seen["hits"] > hits
    assert seen["last"][0]["what"] == FAULTS[name][0], seen
    assert "kmalloc_owner" in seen["last"][0]["allocated_by"], seen
    assert FAULTS[name][0] in guarded.run("kfence")


@pytest.mark.parametrize("name", REDZONES)
def test_redzones(debug, name):
    report = provoke(debug, f"test misuse {name}")
    assert_report(report, *REDZONES[name], ALLOCATED)


def test_check_finds_it_too(debug):
    assert_checks(debug)


def test_self_tests_pass_with_all_of_it(boot):
    with boot(cpus=CPUS, config="cmdline=debug=1 kfence=every\n") as guest:
        before = counters(guest)
        result = guest.run_json("test --json", timeout=300)
        assert result["failed"] == 0, result
        assert_comes_back(guest, before)
        assert_balanced(guest)
        assert_checks(guest)


def test_sampling_is_on_by_default(boot):
    with boot() as guest:
        first = guest.run_json("kfence --json")
        if first["every"]:
            pytest.skip("the debug preset guards every object")
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
