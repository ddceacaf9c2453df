# SPDX-License-Identifier: MIT
"""
What the guest tests share. A test boots its own machine with `boot(...)`, or takes `guest`: one
plain machine a file, at its prompt, for tests that leave it as they found it.
"""

import contextlib
import os
import pathlib
import subprocess
import sys

import pytest

pytest.register_assert_rewrite("books")

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("QUIRE_BUILD", TOP / "build"))
sys.path.insert(0, str(TOP / "tools"))

import qemu  # noqa: E402  (tools/ is on the path only now)

CACHE = (BUILD / "CMakeCache.txt").read_text(encoding="utf-8")
# A build in which every access is checked (preset kasan); one with redzones, poison and every
# object guarded (preset debug).
KASAN = "QUIRE_KASAN:BOOL=ON" in CACHE
DEBUG_PRESET = "QUIRE_DEBUG:BOOL=ON" in CACHE

if KASAN:
    qemu.patience = 5

# Seconds. Generous: a loaded host must not make a test fail.
BOOT_TIMEOUT = 90

live = []


class Bench:
    """Boots machines; what a test gets as `boot`."""

    def __init__(self, folder):
        self.folder = folder
        self.images = 0

    def image(self, settings):
        """The image with these lines in its quire.cfg; the plain one for None."""
        if settings is None:
            return str(BUILD / "quire.img")
        self.images += 1
        config = self.folder / f"{self.images}.cfg"
        image = self.folder / f"{self.images}.img"
        config.write_text(settings, encoding="utf-8")
        subprocess.run([TOP / "tools/image", "--cfg", config, "--out", image,
                        "--efi", BUILD / "BOOTX64.EFI"], check=True)
        return str(image)

    @contextlib.contextmanager
    def __call__(self, config=None, prompt=True, serial=True, **machine):
        if "kernel" not in machine:
            machine.setdefault("image", self.image(config))
        with qemu.Guest(qemu.Machine(**machine), serial=serial) as guest:
            live.append(guest)
            if prompt:
                guest.wait_prompt(BOOT_TIMEOUT)
            yield guest
        live.remove(guest)


@pytest.fixture(name="boot", scope="session")
def fixture_boot(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("images"))


@pytest.fixture(name="guest", scope="module")
def fixture_guest(boot):
    with boot() as guest:
        yield guest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows what its guests printed last."""
    report = (yield).get_result()
    if report.failed:
        for guest in live:
            report.sections.append((f"guest of {item.name}", guest.tail(60)))
