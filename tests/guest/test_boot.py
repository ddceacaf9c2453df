# SPDX-License-Identifier: MIT
"""It boots on every kind of machine, with the books balanced."""

import re

import pytest
from books import assert_balanced, assert_checks
from conftest import BUILD, KASAN

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40

MACHINES = {
    "smallest": {"memory": (128 if KASAN else 64) * MIB},
    "8G": {"memory": 8 * GIB},
    "1T": {"memory": TIB},
    "pc": {"machine": "pc"},
    "qemu64": {"cpu": "qemu64"},
    "max": {"cpu": "max"},
    "usb": {"usb": True},
    "usb-pc": {"usb": True, "machine": "pc"},
    "kernel": {"kernel": str(BUILD / "BOOTX64.EFI")},
    "4cpus": {"cpus": 4},
}
if KASAN:
    del MACHINES["1T"]  # an eighth of it is the shadow: more than hosts have


@pytest.mark.parametrize("name", MACHINES)
def test_boots_balances_and_powers_off(boot, name):
    with boot(**MACHINES[name]) as guest:
        mem = assert_balanced(guest)
        wanted = guest.machine.memory // 4096
        # OVMF keeps the flash variables' and its own little; the machine has a hole of 384 KiB.
        assert wanted * 0.99 - 256 <= mem["ram_pages"] <= wanted
        assert_checks(guest)
        guest.type("poweroff")
        ending = guest.wait_end()
        assert ending.clean, ending


def test_the_smallest_passes_its_own_tests(boot):
    with boot(**MACHINES["smallest"]) as guest:
        assert " 0 failed" in guest.run("test", timeout=120)
        assert_balanced(guest)
        assert_checks(guest)


@pytest.mark.skipif(not KASAN, reason="only this build needs it")
def test_no_room_for_the_shadow(boot):
    with boot(memory=64 * MIB, prompt=False) as guest:
        ending = guest.wait_end(90)
        assert not ending.clean, ending
        assert any(re.search(r"checks every access, and needs \d+ MiB in one piece", line)
                   for line in guest.kernel_lines())
