# SPDX-License-Identifier: MIT
"""The ways to end: power off, restart, panic; and what the harness makes of them."""

import qemu
from books import assert_balanced


def test_reboot_comes_back(boot):
    with boot(reboots=True) as guest:
        first = len(guest.kernel_lines())
        guest.type("reboot")
        guest.wait_text(r"restarting", start=first)
        first = len(guest.kernel_lines())
        guest.wait_text(qemu.KERNEL_LINE.pattern, timeout=90, start=first)
        guest.wait_prompt(90)
        assert any(e["event"] == "RESET" and e["data"]["guest"] for e in guest.qmp.events)
        assert_balanced(guest)


def test_reboot_is_a_clean_end(boot):
    with boot() as guest:
        guest.type("reboot")
        ending = guest.wait_end()
        assert ending.clean and ending.reason == "guest-reset", ending


def test_panic_is_no_clean_end(boot):
    with boot() as guest:
        guest.type('panic "for the test"')
        ending = guest.wait_end()
        assert ending.reason == "debug-exit" and not ending.clean, ending
        assert "for the test" in guest.text()
