# SPDX-License-Identifier: MIT
"""
Every wrong use of the page allocator, provoked by `test misuse`: what the report says, who it
names, and that nothing has changed. All on one machine: a report does not end the kernel, but for
KASAN's. The same in the release, debug and KASAN builds; docs/assurance.md has the table.
"""

import re

import pytest
from books import assert_checks
from conftest import DEBUG_PRESET, KASAN
from endings import provoke as provoke_end

CPUS = 2
# With debug=1 every free page is looked at; the debug preset has its own settings.
DEBUG = None if DEBUG_PRESET else "cmdline=debug=1 kfence=every\n"

# `test misuse NAME`: the sentence, and what else the report must say.
ALLOCATED, FREED = r"allocated by page_owner\+0x", r"freed by +page_first_free\+0x"
FOUND = r"found +0xfdfdfdfd5afdfdfd instead of 0xfdfdfdfdfdfdfdfd"
WRITTEN = ("write to a free page", FREED, FOUND, r"free page: 1 pages from pfn 0x",
           r"(?s)write to a free page: 0x[0-9a-f]+123\b")
# (A KASAN build takes a page more for an object of whole pages: its redzone.)
REPORTS = {
    "page-double-free": ("double free", FREED),
    "page-double-free-block": ("double free", FREED),
    "page-double-free-later": ("double free", FREED),
    "page-never-allocated": ("free of a page that is not allocated",),
    "page-reserved": ("free of a reserved page", r"pfn 0x0$"),
    "page-kernel": ("free of a (page that is not the allocator's|reserved page)",
                    r"in the kernel image"),
    "page-not-ram": ("free of a page that is not the allocator's",),
    "page-nonsense": ("free of a page that is not the allocator's",),
    "page-wrong-order": ("page free with the wrong order", ALLOCATED, r"freed as +order 2",
                         r"object +0x[0-9a-f]+, order 3: 8 pages from pfn 0x"),
    "page-wrong-order-up": ("page free with the wrong order", ALLOCATED, r"freed as +order 4",
                            r"object +0x[0-9a-f]+, order 3: 8 pages"),
    "page-tail": ("free of a page inside a block", ALLOCATED,
                  r"object +0x[0-9a-f]+, order 3: 8 pages"),
    "page-block-as-run": ("block of pages freed as a run", ALLOCATED, r"freed as +run"),
    "page-run-as-block": ("run of pages freed as a block", r"freed as +order 2",
                          r"object +0x[0-9a-f]+, run: 5 pages"),
    "page-object": ("object freed as pages", r"object +0x[0-9a-f]+, kmalloc object: 1[67] pages",
                    r"freed as +order 4", r"allocated by object_owner\+0x"),
    "page-object-as-run": ("object freed as pages", r"kmalloc object: 1[67] pages",
                           r"freed as +run"),
    "page-object-run-as-run": ("object freed as pages", r"kmalloc object: 2[01] pages",
                               r"freed as +run"),
    "page-shared": ("free of a shared page", ALLOCATED, r"order 3: 8 pages"),
    "page-slab": ("free of a page of a slab", r"object +0x[0-9a-f]+, slab: [0-9]+ pages"),
    "page-write-sampled": WRITTEN,
    "page-write-debug": WRITTEN,
    "page-write-found": WRITTEN + (r"found by +page_finder\+0x",),
    "page-get-free": ("reference to a page that heads no block", FREED),
    "page-put-free": ("reference dropped on a page that heads no block", FREED),
}
# In a kernel that was started so.
ALL_LOOKED_AT = WRITTEN + (r"found by +page_finder\+0x",)
CULPRIT = r"caller +(page_(run_|get_|put_)?culprit)\+0x"


@pytest.fixture(name="guest", scope="module")
def fixture_guest(boot):
    with boot(cpus=CPUS) as guest:
        yield guest


def provoke(guest, line):
    """The report; the books were checked by the command itself."""
    before = guest.run_json("pages --json")
    misuses = before["misuses"] + before["written_free"]
    start = len(guest.kernel_lines())
    text = guest.run(line)
    guest.wait_prompt()
    report = "\n".join(guest.kernel_lines()[start:])
    if "this build sees the write itself" in text:
        pytest.skip("KASAN")
    assert "the kernel went on" in text, text + report
    after = guest.run_json("pages --json")
    assert after["misuses"] + after["written_free"] == misuses + 1, report
    return report


def assert_report(report, cpu, sentence, *more):
    refused = "" if sentence.startswith("write") else r" \(refused\)"
    assert re.search(rf"misuse: page: {sentence}: 0x[0-9a-f]+{refused}$", report, re.M), report
    assert report.count("misuse: page: ") == 1, report
    if refused:
        assert re.search(CULPRIT, report), report
        assert re.search(rf"on CPU +{cpu}$", report, re.M), report
    for pattern in more:
        assert re.search(pattern, report, re.M), f"{pattern}\n{report}"


def test_every_misuse_of_pages_is_tested(guest):
    listed = re.findall(r"^  (page-\S+)", guest.run("test misuse"), re.M)
    assert sorted(listed) == sorted([*REPORTS, "page-write"])


@pytest.mark.parametrize("name", REPORTS)
def test_misuse(guest, name):
    report = provoke(guest, f"test misuse {name} --cpu 0")
    assert_report(report, 0, *REPORTS[name])


@pytest.mark.parametrize("name", REPORTS)
def test_misuse_on_another_cpu(guest, name):
    report = provoke(guest, f"test misuse {name} --cpu 1")
    assert_report(report, 1, *REPORTS[name])


@pytest.mark.skipif(KASAN, reason="this build sees the write itself")
def test_write_to_any_free_page_with_debug(boot):
    with boot(cpus=CPUS, config=DEBUG) as guest:
        for cpu in range(CPUS):
            assert_report(provoke(guest, f"test misuse page-write --cpu {cpu}"), cpu,
                          *ALL_LOOKED_AT)


@pytest.mark.skipif(not KASAN, reason="KASAN")
@pytest.mark.parametrize("cpu", range(CPUS))
def test_write_to_any_free_page_with_kasan(boot, cpu):
    with boot(cpus=CPUS) as guest:
        text, ending = provoke_end(guest, lambda g: g.type(f"test misuse page-write --cpu {cpu}"))
    assert ending.reason == "debug-exit" and text.count("*** KASAN: ") == 1, f"{ending}\n{text}"
    for pattern in (r"KASAN: use of a free page: write of 1 bytes at 0x[0-9a-f]+123 by page_writer",
                    r"page frame 0x[0-9a-f]+, free", FREED):
        assert re.search(pattern, text), f"{pattern}\n{text}"


@pytest.mark.skipif(KASAN or DEBUG_PRESET, reason="all are looked at")
def test_as_released_not_every_page_is_looked_at(guest):
    assert "not every free page is looked at" in guest.run("test misuse page-write")


def test_nothing_is_left(guest):
    assert_checks(guest)


def test_wrong_names_are_told(guest):
    assert "try: test misuse" in guest.run("test misuse page-of-a-book")
    assert "0 to 1" in guest.run("test misuse page-tail --cpu 2")
