# SPDX-License-Identifier: MIT
"""
What Quire costs inside a guest, in instructions: QEMU's -icount with shift=0 makes one tick of the
time stamp counter one guest instruction, and two runs of one build the same.
"""

import os

import qemu
from machine import GIB, MIB, TIB, Machine

ICOUNT = ("-icount", "shift=0,sleep=off", "-seed", "1",
          "-rtc", "base=2024-01-01T00:00:00,clock=vm")
MEMORY = GIB
# Seconds. The firmware alone takes 2.5 thousand million instructions.
BOOT_TIMEOUT = 400
BENCH_TIMEOUT = 1200
MAX_CPU = "max,phys-bits=42"
BOOT_SIZES = ((256 * MIB, None), (GIB, None), (16 * GIB, None), (256 * MIB, MAX_CPU),
              (TIB, MAX_CPU))


def operations(build, quick):
    """{row: {"min": .., "median": .., "max": .., "what": ..} or {"skipped": why}}"""
    machine = Machine(kernel=os.path.join(build, "BOOTX64.EFI"), memory=MEMORY, vga=False,
                      extra=ICOUNT)
    with qemu.Guest(machine) as guest:
        guest.wait_prompt(BOOT_TIMEOUT)
        words = "bench --json --quick" if quick else "bench --json"
        answer = guest.run_json(words, BENCH_TIMEOUT)
    calibration = answer["tick_per_instruction_thousandths"]
    if calibration != 1000:
        raise qemu.GuestError(f"a tick is {calibration / 1000} instructions, not 1: the figures "
                              "would be worth nothing")
    return {row_name(row): row_figures(row) for row in answer["rows"]}


def row_name(row):
    return row["name"] + ("." + row["part"] if row.get("part") else "")


def row_figures(row):
    figures = {"what": row["what"], "unit": row.get("unit", "ticks")}
    if "skipped" in row:
        figures["skipped"] = row["skipped"]
    else:
        for key in ("min", "median", "max"):
            figures[key] = row[key + "_thousandths"] / 1000
    return figures


def boot(build, memory, cpu):
    """Instructions (to the first page_alloc, to the first prompt) of one boot."""
    machine = Machine(image=os.path.join(build, "quire.img"), memory=memory, cpu=cpu, extra=ICOUNT)
    with qemu.Guest(machine) as guest:
        guest.wait_prompt(BOOT_TIMEOUT)
        answer = guest.run_json("time --json")
    return answer["exit_to_first_page_cycles"], answer["entry_to_first_prompt_cycles"]
