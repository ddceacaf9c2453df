# SPDX-License-Identifier: MIT
"""The PC's own screen and keyboard, and machines that lack one of screen, keyboard, serial line."""

import time

import ocr
import pytest
import qemu
from books import assert_balanced
from conftest import BUILD


@pytest.fixture(name="font", scope="module")
def fixture_font():
    return ocr.Font((BUILD / "core/fonts/font_small.psf").read_bytes())


def rows(guest, font):
    return ocr.read(guest.picture(), font)


def wait_rows(guest, font, condition, seconds=60):
    """Until the screen shows it; its rows, empty ones at the end left out."""
    end = qemu.deadline(seconds)
    while True:
        shown = rows(guest, font)
        while shown and not shown[-1]:
            shown.pop()
        if shown and condition(shown):
            return shown
        assert time.monotonic() < end, "\n".join(shown)
        guest.idle(0.3) if guest.has_serial else time.sleep(0.3)


def is_prompt(row):
    return row.startswith("quire>") and row.replace("quire>", "", 1).strip(" _\N{FULL BLOCK}"
                                                                           "\ufffd") == ""


def test_screenshot_shows_the_prompt(guest, font):
    shown = wait_rows(guest, font, lambda r: is_prompt(r[-1]))
    assert any("boot: " in row for row in shown), shown


def test_keys_reach_the_shell_and_the_screen(guest, font):
    guest.wait_prompt()
    guest.press_text("alloc 30; frex")
    guest.press("backspace")
    guest.press_text("e 0X1_")
    shown = wait_rows(guest, font, lambda r: "quire> alloc 30; free 0X1_" in r[-1])
    assert shown
    guest.press("ctrl", "c")
    guest.wait_prompt()
    start = len(guest.lines.done)
    guest.press_text("version")
    guest.press("ret")
    guest.wait("version", lambda: len(guest.lines.done) > start + 1 and guest.at_prompt(), 30)
    guest.press("up")
    wait_rows(guest, font, lambda r: "quire> version" in r[-1])
    guest.press("ctrl", "c")
    guest.wait_prompt()


def test_scrolling_keeps_the_last_rows(guest, font):
    text = guest.run("help; log; help")
    last = [line for line in text.split("\n") if line][-1]
    shown = wait_rows(guest, font, lambda r: is_prompt(r[-1]))
    assert shown[-2].strip() == last.strip()[: len(shown[-2].strip())]


def test_without_a_serial_line(boot, font):
    with boot(prompt=False, serial=False) as guest:
        wait_rows(guest, font, lambda r: is_prompt(r[-1]), 90)
        guest.press_text("version\n")
        wait_rows(guest, font, lambda r: any("quire> version" in row for row in r)
                  and is_prompt(r[-1]))
        guest.press_text("poweroff\n")
        end = qemu.deadline(30)
        while guest.process.poll() is None and time.monotonic() < end:
            time.sleep(0.2)
        assert guest.process.poll() == 0


def test_without_a_screen(boot):
    with boot(vga=False) as guest:
        assert_balanced(guest)
        guest.type("poweroff")
        assert guest.wait_end().clean


def test_without_a_keyboard_controller(boot):
    with boot(machine_options=",i8042=off") as guest:
        assert_balanced(guest)
        guest.type("poweroff")
        assert guest.wait_end().clean


def test_a_panic_before_there_is_memory_is_on_the_screen(boot, font):
    # Without the hypervisor bit the kernel halts, as on a PC, and does not end QEMU.
    with boot(config="cmdline=panic_early=1\n", prompt=False, serial=False,
              cpu="qemu64,hypervisor=off") as guest:
        shown = wait_rows(guest, font, lambda r: "The kernel has stopped" in "\n".join(r), 90)
    assert any("*** kernel panic ***" in row for row in shown), shown
    assert any("asked for on the command line" in row for row in shown), shown
