# SPDX-License-Identifier: MIT
"""
Machines with a memory map that no firmware should write: the loader spoils the real one (map= in
quire.cfg, efi/spoil.c). The kernel comes up, and hands out nothing that the map does not give: the
real one, nor the spoiled one.
"""

import bisect
import re
import time

import pytest
from books import assert_balanced, assert_checks, assert_comes_back, counters
from conftest import KASAN

MEMORY = (512 if KASAN else 192) << 20  # its shadow wants 41 MiB in one piece
FREE = ("Conventional", "BootServicesCode", "BootServicesData", "LoaderCode", "LoaderData")
TOP = 1 << 64


class Frames:
    """Disjoint ranges of bytes, in order."""

    def __init__(self, ranges):
        self.ranges = []
        for start, end in sorted(ranges):
            if self.ranges and start <= self.ranges[-1][1]:
                start, end = self.ranges[-1][0], max(end, self.ranges[-1][1])
                self.ranges.pop()
            self.ranges.append((start, end))

    def holds(self, start, end):
        """All of it?"""
        at = bisect.bisect(self.ranges, (start, TOP)) - 1
        return at >= 0 and end <= self.ranges[at][1]

    def touches(self, start, end):
        """Any of it?"""
        at = bisect.bisect_left(self.ranges, (end, 0)) - 1
        return at >= 0 and self.ranges[at][1] > start


def extent(entry):
    start = int(entry["base"], 16)
    return start, start + 4096 * entry["pages"]


def sane(entries):
    """Without those that say nothing."""
    return [e for e in entries if e["pages"] and extent(e)[1] <= TOP]


def free_by(entries):
    return Frames(extent(e) for e in sane(entries) if e["type"] in FREE)


def kept_by(entries):
    return Frames(extent(e) for e in sane(entries) if e["type"] not in FREE)


def handed_out(regions):
    return [extent(r) for r in regions if r["kind"] in ("usable", "reclaimable")]


def pages(ranges):
    return sum(end - start for start, end in ranges) // 4096


@pytest.fixture(name="real", scope="module")
def fixture_real(boot):
    """The map of the machine as it is."""
    with boot(memory=MEMORY) as guest:
        return guest.run_json("memmap --json", timeout=120)


def sort(entries):
    return sorted(entries, key=lambda e: int(e["base"], 16))


# What can be said of the entries, and how many pages may be missing.
WAYS = {
    "shuffled": (lambda e: e != sort(e), 0),
    "overlapped": (lambda e: len({(x["base"], x["pages"]) for x in e}) < len(e), 16),
    "strange": (lambda e: len(sane(e)) == len(e) - 4 and "unknown" in {x["type"] for x in e}, 16),
    "wide": (lambda e: e == sort(e), 0),
}
SLACK = 600  # pages that a larger map costs, or the firmware has in one boot and not in another


def start(boot, way):
    return boot(config=f"map={way}\n", memory=MEMORY)


def said_by_loader(guest, way):
    """Entries, bytes of each."""
    said = re.search(rf"as map={way} makes it: (\d+) entries of (\d+) bytes",
                     "\n".join(guest.lines.done))
    return int(said[1]), int(said[2])


def assert_all_of_it_can_be_used(guest):
    """Every free page is taken and written to, and comes back."""
    assert_balanced(guest)
    before = counters(guest)
    guest.run("spawn hog --seconds 1")
    deadline = time.monotonic() + 60
    while any(t["name"] == "hog" for t in guest.run_json("ps --json")["threads"]):
        assert time.monotonic() < deadline
        guest.idle(0.3)
    assert_comes_back(guest, before)
    assert_checks(guest)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_handed_out_that_the_map_does_not_give(boot, real, way):
    is_spoiled, missing = WAYS[way]
    with start(boot, way) as guest:
        assert (said_by_loader(guest, way)[1] == 96) == (way == "wide")
        seen = guest.run_json("memmap --json", timeout=120)
        assert is_spoiled(seen["entries"]), seen["entries"]
        given, given_here = free_by(real["entries"]), free_by(seen["entries"])
        kept, out = kept_by(seen["entries"]), handed_out(seen["regions"])
        for first, end in out:
            assert given.holds(first, end), f"{first:#x} to {end:#x}: the real map does not give it"
            assert given_here.holds(first, end), f"{first:#x} to {end:#x}: nor this one"
            assert not kept.touches(first, end), f"{first:#x} to {end:#x}: somebody else's"
        assert pages(out) >= pages(handed_out(real["regions"])) - missing - SLACK
        assert_all_of_it_can_be_used(guest)


def test_thousands_of_entries_and_all_the_rest(boot, real):
    """memmap would take a minute to print them, so the owners of some frames are asked for."""
    base, end = max((extent(e) for e in real["entries"] if e["type"] == "Conventional"),
                    key=lambda e: e[1] - e[0])
    middle = base + (end - base) // 4 // 4096 * 4096 + 4096 * 4096
    with start(boot, "all") as guest:
        count, stride = said_by_loader(guest, "all")
        assert count > 4096 and stride == 96
        owners = [guest.run_json(f"owner {middle + 4096 * i:#x} --json")["what"] for i in range(8)]
        teeth = {what.startswith("reserved memory") for what in owners[::2]}
        gaps = {what.startswith("reserved memory") for what in owners[1::2]}
        assert len(teeth) == len(gaps) == 1 and teeth != gaps, owners
        free = guest.run_json("mem --json")["free_pages"]
        assert free >= pages(handed_out(real["regions"])) - 4096 - 2 * SLACK
        assert_all_of_it_can_be_used(guest)
