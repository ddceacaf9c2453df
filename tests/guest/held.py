# SPDX-License-Identifier: MIT
"""
A guest held where the kernel begins, to be saved there and to go on in many ways.

QEMU's gdb stub stops it and writes a jump to itself over the first instruction, so that the guest
runs and gets nowhere: one that stands still cannot be saved and resumed. The remote protocol: a
packet is "$text#sum", answered by "+" and a packet.
"""

import os
import socket
import subprocess

from conftest import BUILD

JUMP_TO_ITSELF = b"\xeb\xfe"
ENOUGH = 32  # bytes that stand nowhere else in memory


def address_of(function):
    """From the kernel's symbols."""
    lines = subprocess.run(["llvm-nm", BUILD / "quire.elf"], check=True, capture_output=True,
                           text=True).stdout.split("\n")
    return next(line.split()[0].lstrip("0") for line in lines if line.endswith(f" {function}"))


def words(path):
    """QEMU's, for a guest that waits for hold()."""
    return "-S", "-gdb", f"unix:{path},server=on,wait=off"


def hold(function, path, timeout=90):
    """Let it run to that function and no further. What now stands in its memory, and what stood."""
    at = address_of(function)
    with socket.socket(socket.AF_UNIX) as stub:
        stub.settimeout(timeout)
        stub.connect(os.fspath(path))
        assert ask(stub, f"Z1,{at},1") == "OK"
        assert ask(stub, "c").startswith("T05")
        code = bytes.fromhex(ask(stub, f"m{at},{ENOUGH:x}"))
        assert ask(stub, f"M{at},{len(JUMP_TO_ITSELF):x}:{JUMP_TO_ITSELF.hex()}") == "OK"
        assert ask(stub, f"z1,{at},1") == "OK"
        assert ask(stub, "D") == "OK"
    return JUMP_TO_ITSELF + code[len(JUMP_TO_ITSELF) :], code


def ask(stub, text):
    stub.sendall(f"${text}#{sum(text.encode()) % 256:02x}".encode())
    got = b""
    while b"#" not in got[:-2]:
        piece = stub.recv(4096)
        assert piece, "QEMU is gone"
        got += piece
    stub.sendall(b"+")
    return got[got.index(b"$") + 1 : got.rindex(b"#")].decode()
