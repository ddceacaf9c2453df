# SPDX-License-Identifier: MIT
"""
What runs of the kernel itself while a guest does all it is told to.

The kernel of preset `guest-coverage` counts; nothing in it knows how to tell. QEMU reads the
counters out of its memory, and what llvm-profdata wants around them stands in the ELF:

  header | data (one record a function) | counters, from the guest | names
"""

import os
import struct
import subprocess
import sys

import qemu

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, "build-guest-coverage")
ELF = os.path.join(BUILD, "quire.elf")
FOLDERS = ("alloc", "core", "proc", "include")

MAGIC = 0xFF6C70726F667281  # "\xfflprofr\x81", 64 bits
VERSION = 8  # of the raw profile: LLVM 14
RECORD_BYTES, COUNTER_BYTES = 48, 8
VALUE_KINDS = 1

# One guest with one CPU, one with four and two nodes.
MACHINES = ({"memory": 256 << 20, "cpu": "max"},
            {"memory": 512 << 20, "cpu": "max", "cpus": 4, "nodes": 2})
COMMANDS = """
help; help test; version; time; log; log --json; cpu; cpu --json; memmap; memmap --json
memmap regions; mem; mem --json; pages; pages --json; zones; zones --json; kmalloc
kmalloc --json; caches; caches --json; slabs; percpu; percpu --json; ps; ps --json; queues
queues --json; peek 0xffffffff80000000; leaks; kfence; trace on; trace show; trace off
owner 0x100000; test; test fault breakpoint; test fault stray-interrupt
test misuse page-double-free; test misuse page-wrong-order; alloc page; alloc 5000; free all
nonsense; mem --wrong; spawn churn --count 2 --seconds 2
spawn producer-consumer --count 2 --seconds 2; spawn sleep --count 5 --seconds 2
spawn spin --seconds 1; spawn --json; kill all; check; check --json; test; bench --quick
history
"""


def quietly(*command):
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"coverage: failed: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def sections():
    """name: (address, bytes in the file)"""
    found = {}
    with open(ELF, "rb") as f:
        data = f.read()
    shoff, = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    heads = [struct.unpack_from("<IIQQQQ", data, shoff + i * size) for i in range(count)]
    for name, _, _, address, offset, length in heads:
        start = heads[names][4] + name
        text = data[start : data.index(b"\0", start)].decode()
        found[text] = (address, data[offset : offset + length])
    return found


def work(guest):
    for line in COMMANDS.strip().split("\n"):
        for command in line.split(";"):
            guest.run(command.strip(), timeout=180, log=True)


def counters(guest, address, size, path):
    guest.monitor(f'memsave {address:#x} {size} "{path}"')
    with open(path, "rb") as f:
        return f.read()


def raw_profile(elf, counts):
    data_at, data = elf["__llvm_prf_data"]
    counts_at, _ = elf["__llvm_prf_cnts"]
    names_at, names = elf["__llvm_prf_names"]
    head = (MAGIC, VERSION, 0, len(data) // RECORD_BYTES, 0, len(counts) // COUNTER_BYTES, 0,
            len(names), (counts_at - data_at) % (1 << 64), names_at, VALUE_KINDS)
    return (struct.pack(f"<{len(head)}Q", *head) + data + counts + names
            + bytes(-len(names) % 8))


def run_guest(elf, machine, stem):
    address, content = elf["__llvm_prf_cnts"]
    image = os.path.join(BUILD, "quire.img")
    with qemu.Guest(qemu.Machine(image=image, **machine)) as guest:
        guest.wait_prompt(300)
        work(guest)
        counts = counters(guest, address, len(content), stem + ".counters")
    with open(stem + ".profraw", "wb") as f:
        f.write(raw_profile(elf, counts))
    return stem + ".profraw"


def report(profile):
    print(f"{'folder':24} {'functions':>10} {'lines':>7} {'branches':>9}")
    for folder in FOLDERS:
        total = quietly("llvm-cov", "report", ELF, f"-instr-profile={profile}",
                        os.path.join(TOP, folder)).strip().split("\n")[-1].split()
        print(f"{folder + '/':24} {total[6]:>10} {total[9]:>7} {total[12]:>9}")


def guest(_):
    quietly("cmake", "--preset", "guest-coverage")
    quietly("cmake", "--build", "--preset", "guest-coverage")
    elf = sections()
    raw = [run_guest(elf, machine, os.path.join(BUILD, f"guest{i}"))
           for i, machine in enumerate(MACHINES)]
    profile = os.path.join(BUILD, "guest.profdata")
    quietly("llvm-profdata", "merge", "-sparse", "-o", profile, *raw)
    report(profile)
    return 0
