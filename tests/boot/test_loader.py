# SPDX-License-Identifier: MIT
"""
Every way the loader can fail, in a real firmware.

One guest has a disk for each failure, in boot order. A loader that fails must say so in one
sentence, give everything back and return; the firmware then tries the next disk. The last disk
boots, which shows that the failures left nothing behind.
"""

import os
import re
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("QUIRE_BUILD", os.path.join(TOP, "build"))
sys.path.insert(0, os.path.join(TOP, "tools"))

import qemu  # noqa: E402

TIMEOUT = 120
NO_MEMORY = r"no memory for {}, \d+ pages \(EFI_OUT_OF_RESOURCES\)"

# quire.cfg -> what the loader says
FAILURES = [
    ("fail=machine", r"quire\.cfg says so \(EFI_UNSUPPORTED\)"),
    ("fail=stack", r"a local array was written past its end \(EFI_ABORTED\)"),
    ("fail=map", r"the firmware does not tell the size of its memory map \(EFI_DEVICE_ERROR\)"),
    ("fail=scratch", NO_MEMORY.format("a copy of the firmware's memory map")),
    ("fail=plan", r"no usable region holds the descriptor array, \d+ pages "
                  r"\(EFI_OUT_OF_RESOURCES\)"),
    ("map=none", r"the firmware's memory map has no usable page \(EFI_OUT_OF_RESOURCES\)"),
    ("map=crumbs", r"no usable region holds the descriptor array, \d+ pages "
                   r"\(EFI_OUT_OF_RESOURCES\)"),
    ("refuse=99999999", r"the firmware refused all \d+ places for the descriptor array, \d+ pages "
                        r"\(EFI_NOT_FOUND\)"),
    ("fail=descriptors", r"the firmware refused all \d+ places for the descriptor array, \d+ pages "
                         r"\(EFI_OUT_OF_RESOURCES\)"),
    ("fail=pool", NO_MEMORY.format("the boot pool")),
    ("fail=elf", r"the kernel in this file is damaged: too short \(EFI_LOAD_ERROR\)"),
    ("fail=kernel", NO_MEMORY.format("the kernel")),
    ("fail=tables", NO_MEMORY.format("the first page tables")),
    ("fail=info", NO_MEMORY.format("the boot information")),
]


def make_image(folder, name, config):
    """An image like quire.img, with that quire.cfg; its path."""
    image, cfg = os.path.join(folder, name + ".img"), os.path.join(folder, name + ".cfg")
    with open(cfg, "w", encoding="utf-8") as f:
        f.write(config)
    subprocess.run([os.path.join(TOP, "tools", "image"), "--out", image, "--cfg", cfg,
                    "--efi", os.path.join(BUILD, "BOOTX64.EFI")], check=True)
    return image


def disks(images):
    """QEMU's words for those disks, booted in this order."""
    words = []
    for i, image in enumerate(images):
        words += ["-drive", f"if=none,id=disk{i},format=raw,snapshot=on,file={image}",
                  "-device", f"virtio-blk-pci,drive=disk{i},bootindex={i + 1}"]
    return tuple(words)


def all_text(guest):
    return "\n".join(guest.lines.done + [guest.lines.current])


def wait_for(guest, pattern, timeout=TIMEOUT):
    return guest.wait(f"'{pattern}'", lambda: re.search(pattern, all_text(guest)), timeout)


def wait_for_kernel(guest):
    """The loader's last line, and something after it: the hand-over worked."""
    wait_for(guest, r"Quire loader: leaving boot services\s+(?!Quire cannot|Quire loader)\S")


def run_of(text, number):
    """What the loader printed in its run of that number, from 0."""
    return text.split("Quire loader: version ")[number + 1]


def test_every_failure_returns_to_the_firmware(tmp_path):
    images = [make_image(tmp_path, f"fail{i}", config) for i, (config, _) in enumerate(FAILURES)]
    images.append(make_image(tmp_path, "boot", "refuse=1\nstale=3\nthis is no setting\n"))
    with qemu.Guest(qemu.Machine(extra=disks(images))) as guest:
        wait_for_kernel(guest)
        text = all_text(guest)
    for i, (config, sentence) in enumerate(FAILURES):
        said = run_of(text, i)
        assert re.search("Quire cannot start: " + sentence, said), f"{config}:\n{said}"
        assert said.count("Quire cannot start") == 1, said
        assert re.search(r"gave back \d+ pages; returning to the firmware", said), said
        if "descriptor array: " in said:
            # The lowest place there is, each time: the runs before let go of it.
            assert re.search(r"descriptor array: \d+ pages at 0x100000$", said, re.M), said
            assert not re.search(r"gave back 0 pages", said), said
    last = run_of(text, len(FAILURES))
    assert re.search(r"quire\.cfg line 3 ignored: no '='", last), last
    assert re.search(r"refused 0x100000 for the descriptor array \(EFI_NOT_FOUND\)", last), last
    assert re.search(r"descriptor array: \d+ pages at 0x(?!100000$)[0-9a-f]+$", last, re.M), last


def test_firmware_that_does_not_let_go(tmp_path):
    """All attempts with a stale key: the last failure there can be."""
    image = make_image(tmp_path, "exit", "fail=exit\n")
    with qemu.Guest(qemu.Machine(image=image)) as guest:
        wait_for(guest, r"leaving boot services\s+Quire cannot start: the firmware refuses to "
                        r"leave boot services \(EFI_INVALID_PARAMETER\)\s+"
                        r"Quire loader: gave back [1-9]\d* pages; returning to the firmware")


@pytest.mark.parametrize("machine", ["q35", "pc"])
def test_bare_loader_boots(machine):
    """Without an image, a volume or a quire.cfg; with load options."""
    loader = os.path.join(BUILD, "BOOTX64.EFI")
    guest = qemu.Guest(qemu.Machine(kernel=loader, append="log=debug", machine=machine, vga=False))
    with guest:
        wait_for_kernel(guest)
