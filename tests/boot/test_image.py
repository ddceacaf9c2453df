# SPDX-License-Identifier: MIT
"""tools/image: the same input gives the same bytes, quire.cfg is in, and mistakes get one line."""

import os
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("QUIRE_BUILD", os.path.join(TOP, "build"))
LOADER = os.path.join(BUILD, "BOOTX64.EFI")


def image(*words):
    return subprocess.run([os.path.join(TOP, "tools", "image"), *map(str, words)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def test_same_input_same_bytes(tmp_path):
    for name in ("a.img", "b.img"):
        done = image("--out", tmp_path / name, "--efi", LOADER)
        assert done.returncode == 0 and done.stdout == ""
    a, b = ((tmp_path / name).read_bytes() for name in ("a.img", "b.img"))
    assert a == b
    assert len(a) == 64 << 20
    with open(os.path.join(BUILD, "quire.img"), "rb") as f:
        assert f.read() == a
    # The host has to store only what is in it, and nothing else is left behind.
    assert (tmp_path / "a.img").stat().st_blocks * 512 < 8 << 20
    assert sorted(os.listdir(tmp_path)) == ["a.img", "b.img"]


def test_quire_cfg_goes_beside_the_loader(tmp_path):
    cfg, out = tmp_path / "my.cfg", tmp_path / "x.img"
    cfg.write_text("cmdline=a=b\n")
    assert image("--out", out, "--efi", LOADER, "--cfg", cfg, "--mib", "80").returncode == 0
    assert out.stat().st_size == 80 << 20
    text = subprocess.run(["mtype", "-i", f"{out}@@1M", "::/EFI/BOOT/quire.cfg"], check=True,
                          stdout=subprocess.PIPE, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"})
    assert text.stdout == b"cmdline=a=b\n"


@pytest.mark.parametrize("words, message", [
    (["--nope"], "image: unknown argument: --nope (see --help)"),
    (["--out"], "image: --out needs a value"),
    ([], "image: --out FILE is missing (see --help)"),
    (["--out", "OUT", "--efi", "/nowhere"], "image: cannot read /nowhere; build it first"),
    (["--out", "OUT", "--efi", LOADER, "--cfg", "/nowhere"], "image: cannot read /nowhere"),
    (["--out", "OUT", "--efi", LOADER, "--mib", "63"], "image: --mib must be 64 to 4096"),
    (["--out", "OUT", "--efi", LOADER, "--mib", "x"], "image: --mib must be 64 to 4096"),
])
def test_mistakes_get_one_line(tmp_path, words, message):
    done = image(*(str(tmp_path / "out.img") if word == "OUT" else word for word in words))
    assert done.returncode == 1
    assert done.stdout == message + "\n"
    assert not os.listdir(tmp_path)


def test_a_loader_too_large_leaves_nothing(tmp_path):
    big = tmp_path / "big.efi"
    with open(big, "wb") as f:
        f.write(os.urandom(1 << 20) * 70)
    assert image("--out", tmp_path / "out.img", "--efi", big).returncode != 0
    assert os.listdir(tmp_path) == ["big.efi"]
