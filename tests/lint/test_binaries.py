# SPDX-License-Identifier: MIT
"""
What the firmware and the loader rely on in the files that were built (check_image.py has the rest).

  BOOTX64.EFI  relocations are 64-bit fixups only, and none lies in code: the firmware would have
               to write there
  quire.elf    static: no dynamic section, no relocation left, no undefined symbol; strict W^X

$QUIRE_BUILD: the build folder, from tests/lint.cmake.
"""

import os
import pathlib
import struct

import pytest
import tree

BUILD = pathlib.Path(os.environ.get("QUIRE_BUILD", tree.TOP / "build"))
KERNEL_BASE = 0xFFFFFFFF80000000
PE_CODE, PE_EXECUTE = 0x20, 0x20000000
DIR64, PADDING = 10, 0


class Pe:
    """The parts of a PE32+ file that matter here."""

    def __init__(self, data):
        self.data = data
        at = struct.unpack_from("<I", data, 0x3C)[0]
        assert data[:2] == b"MZ" and data[at : at + 4] == b"PE\0\0"
        count, = struct.unpack_from("<H", data, at + 6)
        option_bytes, = struct.unpack_from("<H", data, at + 20)
        option = at + 24
        self.reloc_rva, self.reloc_bytes = struct.unpack_from("<II", data, option + 112 + 5 * 8)
        self.sections = []
        for i in range(count):
            entry = option + option_bytes + 40 * i
            name = data[entry : entry + 8].rstrip(b"\0").decode()
            size, rva, raw_size, raw = struct.unpack_from("<IIII", data, entry + 8)
            flags, = struct.unpack_from("<I", data, entry + 36)
            self.sections.append((name, rva, max(size, raw_size), raw, raw_size, flags))

    def section_at(self, rva):
        return next((s for s in self.sections if s[1] <= rva < s[1] + s[2]), None)

    def relocations(self):
        """(rva, type)"""
        name, rva, _, raw, _, _ = self.section_at(self.reloc_rva)
        at = raw + self.reloc_rva - rva
        end = at + self.reloc_bytes
        while at < end:
            page, size = struct.unpack_from("<II", self.data, at)
            assert size >= 8, f"broken block in {name}"
            for i in range((size - 8) // 2):
                entry, = struct.unpack_from("<H", self.data, at + 8 + 2 * i)
                yield page + (entry & 0xFFF), entry >> 12
            at += size


class Elf:
    """The parts of an ELF64 file that matter here."""

    def __init__(self, data):
        assert data[:6] == b"\x7fELF\x02\x01"
        self.type, self.machine = struct.unpack_from("<HH", data, 16)
        self.entry, phoff, shoff = struct.unpack_from("<QQQ", data, 24)
        phentsize, phnum, shentsize, shnum = struct.unpack_from("<HHHH", data, 54)
        # type, flags, offset, vaddr, paddr, filesz, memsz, align
        self.segments = [struct.unpack_from("<IIQQQQQQ", data, phoff + i * phentsize)
                         for i in range(phnum)]
        # name, type, flags, addr, offset, size, link, info, align, entsize
        self.sections = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + i * shentsize)
                         for i in range(shnum)]
        self.data = data

    def undefined_symbols(self):
        for section in self.sections:
            if section[1] == 2:  # SHT_SYMTAB
                strings = self.sections[section[6]][4]
                for at in range(section[4] + 24, section[4] + section[5], 24):
                    name, _, _, index = struct.unpack_from("<IBBH", self.data, at)
                    if index == 0:
                        end = self.data.index(b"\0", strings + name)
                        yield self.data[strings + name : end].decode()

    def build_id(self):
        for section in self.sections:
            if section[1] == 7 and b"GNU\0" in self.data[section[4] : section[4] + 16]:
                return self.data[section[4] + 16 : section[4] + section[5]]
        return None


def pe_problems(pe):
    found = []
    if not pe.reloc_bytes:
        found.append("the relocation table is empty")
        return found
    for rva, kind in pe.relocations():
        section = pe.section_at(rva)
        if kind not in (DIR64, PADDING):
            found.append(f"relocation of type {kind} at {rva:#x}")
        elif kind == DIR64 and (not section or section[5] & (PE_EXECUTE | PE_CODE)):
            found.append(f"absolute relocation in code at {rva:#x}")
    return found


def elf_problems(elf):
    found = []
    if (elf.type, elf.machine) != (2, 62):
        found.append("not a static x86-64 executable")
    for kind, flags, _, vaddr, _, filesz, memsz, align in elf.segments:
        if kind in (2, 3):  # PT_DYNAMIC, PT_INTERP
            found.append("has a dynamic section or an interpreter")
        if kind != 1:
            continue
        if flags & 2 and flags & 1:
            found.append(f"segment {vaddr:#x} is writable and executable")
        if vaddr < KERNEL_BASE or vaddr % 4096 or align < 4096:
            found.append(f"segment {vaddr:#x} is not in pages of the top 2 GiB")
        if filesz > memsz:
            found.append(f"segment {vaddr:#x} is longer in the file than in memory")
    for section in elf.sections:
        if section[1] in (4, 6, 9, 11, 19):  # RELA, DYNAMIC, REL, DYNSYM, RELR
            found.append(f"section of type {section[1]}: relocations or dynamic symbols")
    return found + [f"undefined symbol {name}" for name in elf.undefined_symbols()]


@pytest.fixture(name="efi")
def fixture_efi():
    return (BUILD / "BOOTX64.EFI").read_bytes()


@pytest.fixture(name="elf")
def fixture_elf():
    return (BUILD / "quire.elf").read_bytes()


def test_efi(efi):
    assert not pe_problems(Pe(efi))


def test_elf(elf):
    found = elf_problems(Elf(elf))
    assert not found


def test_the_efi_file_carries_that_kernel(efi, elf):
    build_id = Elf(elf).build_id()
    assert build_id and build_id in efi


def test_planted_problems_are_found(efi, elf):
    broken = bytearray(efi)
    pe = Pe(efi)
    first, _ = next(r for r in pe.relocations() if r[1] == DIR64)
    block = efi.index(struct.pack("<I", first & ~0xFFF), pe.section_at(pe.reloc_rva)[3])
    text = next(s for s in pe.sections if s[5] & PE_EXECUTE)
    struct.pack_into("<I", broken, block, text[1])
    assert any("in code" in p for p in pe_problems(Pe(broken)))
    broken = bytearray(efi)
    entry, = struct.unpack_from("<H", broken, block + 8)
    struct.pack_into("<H", broken, block + 8, entry & 0xFFF | 3 << 12)
    assert any("type 3" in p for p in pe_problems(Pe(broken)))
    broken = bytearray(elf)
    phoff, = struct.unpack_from("<Q", elf, 32)
    struct.pack_into("<I", broken, phoff + 4, 7)
    assert elf_problems(Elf(broken))
