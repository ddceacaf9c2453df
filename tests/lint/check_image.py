# SPDX-License-Identifier: MIT
"""
The two files a user copies are what firmware wants to see.

    check_image.py BOOTX64.EFI quire.img

BOOTX64.EFI: UEFI 2.10 section 2.1.1, PE/COFF, and what Secure Boot shims and firmware enforce.
quire.img:   a valid GPT with one EFI system partition, FAT32, that holds exactly that loader.
"""

import os
import shutil
import struct
import subprocess
import sys
import tempfile

IMAGE_BASE_RELOCATIONS = 5
EXECUTE, READ, WRITE = 0x20000000, 0x40000000, 0x80000000
HIGH_ENTROPY_VA, DYNAMIC_BASE, NX_COMPAT = 0x20, 0x40, 0x100
# C12A7328-F81F-11D2-BA4B-00A0C93EC93B
EFI_SYSTEM = bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b")
SECTOR = 512

problems = []


def expect(condition, text):
    if not condition:
        problems.append(text)


def check_loader(pe):
    expect(pe[:2] == b"MZ", "no DOS header")
    at = struct.unpack_from("<I", pe, 0x3C)[0]
    expect(pe[at : at + 4] == b"PE\0\0", "no PE header")
    machine, count = struct.unpack_from("<HH", pe, at + 4)
    optional_bytes = struct.unpack_from("<H", pe, at + 20)[0]
    optional = at + 24
    expect(machine == 0x8664, "not for x86-64")
    expect(struct.unpack_from("<H", pe, optional)[0] == 0x20B, "not PE32+")
    section_alignment, file_alignment = struct.unpack_from("<II", pe, optional + 32)
    subsystem, characteristics = struct.unpack_from("<HH", pe, optional + 68)
    expect(section_alignment == 4096, f"sections aligned to {section_alignment}, not 4096")
    expect(file_alignment >= 512, f"file alignment {file_alignment}")
    expect(subsystem == 10, f"subsystem {subsystem} is not an EFI application")
    for bit, name in ((DYNAMIC_BASE, "DYNAMIC_BASE"), (NX_COMPAT, "NX_COMPAT")):
        expect(characteristics & bit, f"{name} is not set")
    relocations = struct.unpack_from("<II", pe, optional + 112 + 8 * IMAGE_BASE_RELOCATIONS)
    expect(relocations[0] and relocations[1] > 8, "the relocation directory is empty")

    end, names = 0, {}
    for i in range(count):
        header = optional + optional_bytes + 40 * i
        name = pe[header : header + 8].rstrip(b"\0").decode()
        virtual_bytes, virtual, raw_bytes, raw = struct.unpack_from("<IIII", pe, header + 8)
        flags = struct.unpack_from("<I", pe, header + 36)[0]
        names[name] = flags
        expect(virtual % 4096 == 0, f"{name} begins in mid-page")
        expect(virtual >= end, f"{name} overlaps the section before")
        expect(not (flags & WRITE and flags & EXECUTE), f"{name} is writable and executable")
        expect(raw + raw_bytes <= len(pe), f"{name} lies outside the file")
        end = virtual + virtual_bytes
    for name, wanted in ((".text", READ | EXECUTE), (".rdata", READ), (".data", READ | WRITE),
                         (".kernel", READ), (".reloc", READ)):
        flags = names.get(name, 0) & (READ | WRITE | EXECUTE)
        expect(flags == wanted, f"{name} has access {flags:#x} instead of {wanted:#x}")


def tool(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def run(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def check_partition(path, loader):
    fsck = run(tool("fsck.fat"), "-n", path)
    expect(fsck.returncode == 0, "fsck.fat: " + fsck.stdout.decode())
    with open(path, "rb") as f:
        boot = f.read(SECTOR)
    expect(boot[82:90] == b"FAT32   ", "the partition is not FAT32")
    reserved, copies = struct.unpack_from("<HB", boot, 14)
    sectors, fat_sectors = struct.unpack_from("<II", boot, 32)
    clusters = (sectors - reserved - copies * fat_sectors) // boot[13]
    expect(clusters >= 65525, f"{clusters} clusters are too few for FAT32")
    copy = path + ".efi"
    run(tool("mcopy"), "-n", "-i", path, "::/EFI/BOOT/BOOTX64.EFI", copy)
    expect(os.path.exists(copy), "no EFI/BOOT/BOOTX64.EFI in the image")
    if os.path.exists(copy):
        with open(copy, "rb") as f:
            expect(f.read() == loader, "the image holds another BOOTX64.EFI")


def check_image(path, loader):
    verdict = run(tool("sgdisk"), "-v", path).stdout.decode()
    expect("No problems found" in verdict, "sgdisk: " + verdict)
    with open(path, "rb") as f:
        data = f.read(34 * SECTOR)
        expect(data[SECTOR : SECTOR + 8] == b"EFI PART", "no GPT")
        entries = [data[at : at + 128] for at in range(2 * SECTOR, 34 * SECTOR, 128)]
        used = [e for e in entries if any(e[:16])]
        expect(len(used) == 1, f"{len(used)} partitions instead of one")
        expect(used and used[0][:16] == EFI_SYSTEM, "the partition is not an EFI system partition")
        if problems:
            return
        first, last = struct.unpack_from("<QQ", used[0], 32)
        expect(first % 2048 == 0, "the partition is not aligned to 1 MiB")
        f.seek(first * SECTOR)
        partition = f.read((last - first + 1) * SECTOR)
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "esp")
        with open(name, "wb") as f:
            f.write(partition)
        check_partition(name, loader)


def main():
    with open(sys.argv[1], "rb") as f:
        loader = f.read()
    check_loader(loader)
    check_image(sys.argv[2], loader)
    for problem in problems:
        print("check_image:", problem)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
