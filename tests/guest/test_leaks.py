# SPDX-License-Identifier: MIT
"""Who holds memory: `leaks` by caller, `owner` by address. Any address gets an answer."""

import pytest
from books import assert_balanced, assert_checks, counters
from conftest import KASAN

MIB = 1 << 20


@pytest.fixture(name="guest", scope="module")
def fixture_guest(boot):
    with boot(cpus=2, config="cmdline=debug=0 kfence=off\n") as guest:
        yield guest


def alloc(guest, words):
    return guest.run_json(f"alloc {words} --json")["address"]


def owner(guest, address):
    """Both forms, which agree."""
    found = guest.run_json(f"owner {address} --json")
    text = guest.run(f"owner {address}")
    assert found["what"] in text and found["address"] in text, text
    return found


def held_by(leaks, function):
    return [h for h in leaks["holders"] if h["caller"] and h["caller"].startswith(function + "+")]


@pytest.mark.skipif(KASAN, reason="this build tracks all of them")
def test_untracked_objects_are_said_to_be(guest):
    leaks = guest.run_json("leaks --json")
    assert leaks["tracking"] is False and leaks["not_attributed"]["objects"] > 0, leaks
    assert "not attributed" in guest.run("leaks")


def test_tracking_at_run_time(guest):
    guest.run("leaks on")
    small = [alloc(guest, "1000") for _ in range(10)]
    leaks = guest.run_json("leaks --json")
    assert leaks["tracking"] is True
    held = held_by(leaks, "run_alloc")  # these, and the shell's own notes of them
    assert [h["objects"] for h in held if h["bytes"] == len(small) * 1024] == [len(small)], held
    for address in small:
        guest.run(f"free {address}")
    assert not held_by(guest.run_json("leaks --json"), "run_alloc")
    guest.run("leaks off")


def test_the_largest_come_first(guest):
    address = alloc(guest, "40M")
    leaks = guest.run_json("leaks --json")
    sizes = [h["bytes"] for h in leaks["holders"]]
    assert sizes == sorted(sizes, reverse=True)
    assert leaks["holders"][0]["caller"].startswith("run_alloc+"), leaks["holders"][0]
    assert leaks["holders"][0]["bytes"] == 40 * MIB + (4096 if KASAN else 0)  # and its redzone
    assert "run_alloc" in guest.run("leaks").split("\n")[1]
    guest.run(f"free {address}")


def test_all_pages_in_use_are_somebodys(guest):
    """What the page allocator counts as used is what `leaks` lists, and kmalloc's slabs."""
    guest.run("leaks --json")
    leaks = guest.run_json("leaks --json")
    used = guest.run_json("mem --json")
    listed = sum(h["bytes"] for h in leaks["holders"] if h["kind"] == "pages") // 4096
    inside = used["used"]
    tracked = sum(h["bytes"] for h in leaks["holders"] if h["kind"] == "kmalloc")
    assert inside["large_pages"] * 4096 <= tracked, (inside, leaks)
    slabs = inside["slab_pages"] + inside["slab_header_pages"] + inside["large_pages"]
    assert used["used_pages"] - slabs <= listed <= used["used_pages"], (used, leaks)


def test_owner_of_objects(guest):
    guest.run("leaks on")
    keep, address = alloc(guest, "300"), alloc(guest, "300")
    found = owner(guest, hex(int(address, 16) + 7))
    assert found["kind"] == "object" and found["start"] == address, found
    assert found["bytes"] == (300 if KASAN else 320) and "kmalloc-320" in found["what"]
    assert found["allocated_by"].startswith("run_alloc+")
    guest.run(f"free {address}")
    found = owner(guest, address)
    assert found["kind"] == "free object", found
    assert found["freed_by"].startswith("run_free+")
    guest.run(f"free {keep}")
    guest.run("leaks off")


def test_owner_of_large_objects_and_pages(guest):
    address = alloc(guest, "100000")
    found = owner(guest, hex(int(address, 16) + 50000))
    assert found["kind"] == "large object" and found["start"] == address, found
    assert found["allocated_by"].startswith("run_alloc+")
    guest.run(f"free {address}")
    address = alloc(guest, "--order 3")
    found = owner(guest, hex(int(address, 16) + 3 * 4096))
    assert found["kind"] == "pages" and found["bytes"] == 8 * 4096, found
    assert found["start"] == address and found["allocated_by"].startswith("run_alloc+")
    guest.run(f"free {address}")
    found = owner(guest, address)
    assert found["kind"] == "free page" and found["freed_by"].startswith("run_free+"), found


def test_owner_of_stacks(guest):
    for thread in guest.run_json("ps --json")["threads"]:
        if not thread["stack_bytes"]:
            continue
        inside = hex(int(thread["stack"], 16) + 4097)
        found = owner(guest, inside)
        assert found["kind"] == "stack" and f"({thread['name']})" in found["what"], found
        # The same page where the direct map shows it.
        frame = int(found["pfn"], 16)
        assert owner(guest, hex(frame * 4096))["what"] == found["what"]


def test_owner_of_the_kernel_itself(guest):
    found = owner(guest, "0xffffffff80001000")
    assert found["kind"] == "kernel image" and "+0x" in found["what"], found
    regions = guest.run_json("memmap --json")["regions"]
    pool = [r for r in regions if r["kind"] == "metadata"]
    kinds = set()
    for region in pool:
        base = int(region["base"], 16)
        for page in range(0, region["pages"], max(1, region["pages"] // 16)):
            kinds.add(owner(guest, hex(base + 4096 * page))["kind"])
    assert kinds <= {"page table", "kernel"} and "kernel" in kinds, kinds


def test_owner_of_page_tables(guest):
    """The stack window's tables are the page allocator's."""
    regions = guest.run_json("memmap --json")["regions"]
    for region in (r for r in regions if r["kind"] == "metadata"):
        base = int(region["base"], 16)
        for page in range(min(region["pages"], 200)):
            if guest.run_json(f"owner {base + 4096 * page:#x} --json")["kind"] == "page table":
                return
    pytest.fail("no page table in the boot pool")


def behind_the_boot_pool(guest):
    """The first page that the boot pool gave back."""
    for region in guest.run_json("memmap --json")["regions"]:
        base = int(region["base"], 16)
        if region["kind"] == "metadata" and "boot pool" in owner(guest, hex(base))["what"]:
            end = hex(base + 4096 * region["pages"])
            assert "boot pool" in owner(guest, hex(int(end, 16) - 1))["what"]
            return end
    raise AssertionError("no boot pool")


def test_owner_of_what_the_boot_pool_gave_back(guest):
    found = owner(guest, behind_the_boot_pool(guest))
    assert found["kind"] in ("free page", "pages") and "boot pool" not in found["what"], found


def test_owner_of_what_the_boot_pool_did_not_need(boot):
    """Not given back, where nothing of the loader's is."""
    with boot(config="cmdline=reclaim=off\n") as guest:
        found = owner(guest, behind_the_boot_pool(guest))
        assert found["kind"] == "firmware", found
        assert found["what"] == "reclaimable memory of the firmware's map", found


@pytest.mark.parametrize("address", (
    "0", "1", "0xfff", "0x1000", "0xfee00000", "0xffffffffff", "0x7fffffffffff", "0x800000000000",
    "0xdeadbeefdeadbeef", "0xffff7fffffffffff", "0xffff800000000000", "0xffffdfffffffffff",
    "0xffffe00000000000", "0xffffe7ffffffffff", "0xfffff00000000000", "0xfffff08000000000",
    "0xfffff10000000000", "0xfffff1007fffffff", "0xffffffff7fffffff", "0xffffffffffffffff"))
def test_any_address_gets_an_answer(guest, address):
    found = owner(guest, address)
    assert found["kind"] and found["what"], found
    guest.run(f"peek {address}")


def test_what_is_no_address(guest):
    for words in ("", "x", "-1", "1 2", "0x10000000000000000"):
        assert "owner" in guest.run(f"owner {words}")
    assert "leaks" in guest.run("leaks off on")


def test_owner_of_guarded_objects(boot):
    with boot(config="cmdline=debug=0 kfence=every\n") as guest:
        address = alloc(guest, "300")
        assert int(address, 16) >= 0xFFFFF10000000000
        found = owner(guest, hex(int(address, 16) + 299))
        assert found["kind"] == "object" and found["bytes"] == 300, found
        assert "guarded" in found["what"] and found["allocated_by"].startswith("run_alloc+")
        assert owner(guest, hex(int(address, 16) - 1))["kind"] == "beside an object"
        assert held_by(guest.run_json("leaks --json"), "run_alloc")
        guest.run(f"free {address}")
        found = owner(guest, address)
        assert found["kind"] == "free object" and found["freed_by"].startswith("run_free+")


def test_nothing_is_left(guest):
    before = counters(guest)
    guest.run("leaks --all")
    guest.run("owner 0x100000")
    assert counters(guest) == before
    assert_balanced(guest)
    assert_checks(guest)
