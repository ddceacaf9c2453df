# SPDX-License-Identifier: MIT
"""The equations that must hold at any prompt."""

import time

import qemu

PARTS = ("free_pages", "used_pages", "kernel_pages", "metadata_pages", "firmware_pages")


def assert_balanced(guest):
    """ram = free + used + kernel + metadata + firmware. Returns mem's figures."""
    mem = guest.run_json("mem --json")
    assert mem["ram_pages"] == sum(mem[part] for part in PARTS), mem
    assert all(mem[part] >= 0 for part in PARTS)
    return mem


def assert_checks(guest):
    """The kernel recounts everything itself."""
    check = guest.run_json("check --json", timeout=120)
    assert check["ok"] is True, check
    assert all(value in ("ok", True) for value in check.values()), check


def snapshot(guest):
    guest.idle(0.4)  # the idle thread reaps ended threads and returns empty slabs
    mem = guest.run_json("mem --json")
    heap = guest.run_json("kmalloc --json")
    queues = guest.run_json("queues --json")
    return {
        "free_pages": mem["free_pages"],
        "used_pages": mem["used_pages"],
        "live_objects": heap["live_objects"],
        "live_bytes": heap["live_bytes"],
        "large_live": heap["large_live"],
        "threads": queues["threads"],
        "sleeping": queues["sleeping"],
        "dead": queues["dead"],
    }


def counters(guest):
    """What must come back to its first value when everything that was started has ended."""
    before, now = None, snapshot(guest)
    for _ in range(20):
        if now == before:
            break
        before, now = now, snapshot(guest)
    assert now == before, "the counters do not settle"
    return now


def assert_comes_back(guest, before, seconds=30):
    end = qemu.deadline(seconds)
    now = snapshot(guest)
    while now != before and time.monotonic() < end:
        now = snapshot(guest)
    assert now == before
