# SPDX-License-Identifier: MIT
"""Memory at the prompt: what is free, where an object lies, what a wrong free does."""

import re

import pytest
from books import assert_balanced, assert_checks, assert_comes_back, counters

MIB = 1 << 20


def addresses(text):
    return [int(word.rstrip(",:;)"), 16) for word in text.split() if word.startswith("0x")]


def shadow_pages(guest):
    """What a build that checks every access keeps for that: 0 in others."""
    said = re.search(r"every access is checked: (\d+) pages", "\n".join(guest.lines.done))
    return int(said[1]) if said else 0


def test_97_percent_are_free(guest):
    mem = assert_balanced(guest)
    assert mem["free_pages"] >= 0.97 * (mem["ram_pages"] - shadow_pages(guest)), mem


def test_mem_in_words_says_the_same(guest):
    mem = guest.run_json("mem --json")
    digits = "".join(c for c in guest.run("mem") if c not in ",'_ \u202f")
    for key in ("ram_pages", "kernel_pages", "metadata_pages", "firmware_pages"):
        assert str(mem[key]) in digits, key


def test_reclaim_off_keeps_boot_services_memory(boot, guest):
    reclaimed = guest.run_json("mem --json")
    with boot(config="cmdline=reclaim=off\n") as other:
        kept = assert_balanced(other)
        assert_checks(other)
    assert kept["ram_pages"] == reclaimed["ram_pages"]
    assert kept["free_pages"] < reclaimed["free_pages"] - 1000
    assert kept["firmware_pages"] > reclaimed["firmware_pages"] + 1000


def test_memmap_is_in_normal_form(guest):
    memmap = guest.run_json("memmap --json")
    end, kind = 0, None
    for region in memmap["regions"]:
        base = int(region["base"], 16)
        assert base % 4096 == 0 and region["pages"] > 0
        assert base >= end
        assert base > end or region["kind"] != kind, "neighbours of one kind are one region"
        end, kind = base + 4096 * region["pages"], region["kind"]
    assert len(memmap["entries"]) > 10
    for entry in memmap["entries"]:
        assert entry["became"] and all(piece["why"] for piece in entry["became"]), entry


def test_zones_and_pages_agree(guest):
    pages = guest.run_json("pages --json")
    zones = guest.run_json("zones --json")["zones"]
    assert sum(z["free_pages"] for z in zones) == pages["free_pages"]
    assert sum(z["managed_pages"] for z in zones) == pages["managed_pages"]
    blocks = pages["free_blocks"]
    assert sum(n << order for order, n in enumerate(blocks)) == pages["free_pages"]
    assert sum(pages["fullness"].values()) == pages["pageblocks"]


@pytest.mark.parametrize("size", ("1", "300", "8192", "8193", "100000", "4M"))
def test_alloc_peek_free(guest, size):
    before = counters(guest)
    about = guest.run_json(f"alloc {size} --json")
    address = about["address"]
    seen = guest.run_json(f"peek {address} --json")
    assert seen["pfn"] == about["pfn"] and not seen["free"]
    assert int(seen["physical"], 16) == int(seen["pfn"], 16) * 4096
    text = guest.run(f"peek {address}")
    assert address in text and "pfn" in text
    assert address in guest.run(f"free {address}")
    assert_comes_back(guest, before)


def test_alloc_says_where_it_came_from(guest):
    text = guest.run("alloc 300")
    address = addresses(text)[0]
    for word in ("class", "slab", "page", "pfn"):
        assert word in text, text
    guest.run(f"free {address:#x}")


def misuses_of(guest):
    return guest.run_json("kmalloc --json")["misuses"] + guest.run_json("pages --json")["misuses"]


def refused(guest, line, *words):
    """The free is refused with a report; the kernel goes on."""
    misuses = misuses_of(guest)
    start = len(guest.kernel_lines())
    guest.run(line)
    guest.wait_prompt()
    text = "\n".join(guest.kernel_lines()[start:])
    for word in words:
        assert word in text, text
    assert misuses_of(guest) == misuses + 1, text
    assert_balanced(guest)
    assert_checks(guest)


def test_double_free_is_reported(guest):
    keep = guest.run_json("alloc 300 --json")["address"]
    address = guest.run_json("alloc 300 --json")["address"]
    guest.run(f"free {address}")
    refused(guest, f"free {address}", "double free", address)
    guest.run(f"free {keep}")


def test_double_free_of_a_whole_slab_is_reported(guest):
    address = guest.run_json("alloc 300 --json")["address"]
    guest.run(f"free {address}")
    refused(guest, f"free {address}", "free", address)


def test_interior_free_is_reported(guest):
    address = guest.run_json("alloc 300 --json")["address"]
    inside = f"{int(address, 16) + 16:#x}"
    refused(guest, f"free {inside}", "interior", inside)
    guest.run(f"free {address}")


def test_invalid_frees_are_reported(guest):
    refused(guest, "free 0xffffffff80001000", "0xffffffff80001000")
    refused(guest, "free 0x1234", "0x1234")
    refused(guest, "free 0xdeadbeef00000000", "0xdeadbeef00000000")


def test_free_of_others_memory_is_refused(guest):
    stack = next(t for t in guest.run_json("ps --json")["threads"] if t["stack_bytes"])
    guest.run(f"free {stack['stack']}")
    assert_balanced(guest)
    assert_checks(guest)


def test_panic_on_corruption(boot):
    with boot(config="cmdline=panic_on_corruption=1\n") as guest:
        keep = guest.run_json("alloc 300 --json")["address"]
        address = guest.run_json("alloc 300 --json")["address"]
        guest.run(f"free {address}")
        guest.type(f"free {address}")
        ending = guest.wait_end()
        assert ending.reason == "debug-exit", ending
        assert "double free" in guest.text() and keep != address


def test_a_page_in_every_gib_can_be_used(boot):
    """Each first use of a GiB takes a page table of the descriptor window from the reserve."""
    with boot(memory=24 << 30) as guest:
        for _ in range(20):
            assert "order 18" in guest.run("alloc --order 18")
        assert_balanced(guest)
        assert_checks(guest)


def test_out_of_memory_has_a_defined_answer(guest):
    before = counters(guest)
    for line in ("alloc 64G", "alloc 18446744073709551615", "alloc --order 18"):
        assert guest.run(line).count("\n") == 0
    assert_comes_back(guest, before)
