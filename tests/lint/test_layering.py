# SPDX-License-Identifier: MIT
"""
Who may include whom, and where words of the CPU or the firmware may stand.

  alloc/  proc/   the port and each other's contracts: nothing of firmware, CPU or kernel
  efi/            the hand-over, the region code's contracts, <efi.h>; its CPU in efi/<cpu>/
  core/           every contract; the CPU only in core/arch/, which the rest does not include
  include/quire/  other contracts
"""

import os
import re

import tree

# What any file may have: headers that come with the compiler and need no library.
FREESTANDING = {"stddef.h", "stdint.h", "stdbool.h", "stdarg.h", "limits.h", "stdalign.h"}
# Contracts that are the C library's own where there is one (QUIRE_HOSTED), or the port's.
PASSED_ON = {"include/quire/errno.h": "errno.h", "include/quire/string.h": "string.h",
             "include/quire/port.h": "quire_port.h", "alloc/kmalloc_fast.h": "quire_fast.h"}
# Contracts of no part in particular.
BASIC = {"assert.h", "compiler.h", "errno.h", "list.h", "string.h", "types.h"}
REGIONS = {"desc_plan.h", "memmap.h", "region.h"}
ALLOC = BASIC | REGIONS | {"alloc_fail.h", "alloc_trace.h", "alloc_watch.h", "boot_pool.h",
                           "kheap_guard.h", "kmalloc.h", "page.h", "port.h", "spinlock.h"}
PROC = ALLOC | {"thread.h", "message_queue.h", "workload.h"}
EFI = BASIC | REGIONS | {"arch.h", "boot_info.h", "utf8.h"}

CPU_WORDS = re.compile(
    r"\b(__asm__|asm|__x86_64__|__builtin_ia32_\w+|cr[0234]|[rw]rmsr|rdmsr|in[bwl]|out[bwl]|cpuid"
    r"|invlpg|rdtscp?|rflags|[gil]dt|hlt)\b")
FIRMWARE_WORDS = re.compile(r"\b(EFI_\w+|EFIAPI|efi_main|CHAR16|UINTN|BS|ST|gBS|gST)\b")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def is_cpu_file(path):
    """May know the CPU."""
    return (path.startswith("core/arch/") or re.match(r"efi/(x86_64/|[^/]*\.S$)", path)
            or path.startswith("tests/"))


def is_firmware_file(path):
    """May know the firmware: the loader, and its tests against a pretended one."""
    return path.startswith("efi/") or re.match(
        r"tests/(host/firmware|unit/test_(loader|graphics|options|bad_maps))\.[ch]$", path)


def contracts_for(path):
    """The headers <quire/...> a file may include; None for all."""
    top = path.split("/")[0]
    return {"alloc": ALLOC, "proc": PROC, "efi": EFI}.get(top)


def system_headers_for(path):
    own = {"efi.h"} if path.startswith("efi/") else {PASSED_ON.get(path)}
    return FREESTANDING | own


def include_problem(path, kind, name):
    """What is wrong with this #include, or None."""
    top = path.split("/")[0]
    if top in ("tests", "tools"):  # host programs
        return "only efi/ knows the firmware" if name.startswith("efi") and kind == "<" else None
    if kind == '"':
        folder = os.path.dirname(path)
        if top == "include":
            return "contracts are included as <quire/...>"
        places = [folder, top] + (["core/arch/x86_64"] if path.startswith("core/arch/") else [])
        if top == "efi" and "x86_64" not in folder and name.startswith("x86_64/"):
            return "the CPU's part of the loader is reached through a header of efi/"
        if not any((tree.TOP / place / name).is_file() for place in places):
            return f"no such header in {' or '.join(dict.fromkeys(places))}"
        return "the CPU's private header" if name.startswith("arch/") else None
    if name.startswith("quire/"):
        allowed = contracts_for(path)
        contract = name[len("quire/") :]
        if not (tree.TOP / "include" / name).is_file():
            return "no such contract"
        if allowed is not None and contract not in allowed:
            return f"not a contract {top}/ may know"
        return None
    return None if name in system_headers_for(path) else "not a header of a freestanding compiler"


def layering_problems(path, text):
    found = []
    code = tree.without_comments(text)
    for match in INCLUDE.finditer(code):
        problem = include_problem(path, match[1], match[2])
        if problem:
            found.append(f"{path}:{tree.line_of(code, match.start())}: #include "
                         f"{match[1]}{match[2]}: {problem}")
    code = tree.code_only(text)
    if not is_cpu_file(path):
        for match in CPU_WORDS.finditer(code):
            found.append(f"{path}:{tree.line_of(code, match.start())}: '{match[0]}' belongs in "
                         "core/arch/ or efi/x86_64/")
    if not is_firmware_file(path):
        for match in FIRMWARE_WORDS.finditer(code):
            found.append(f"{path}:{tree.line_of(code, match.start())}: '{match[0]}' is the "
                         "firmware's and stays in efi/")
    return found


def test_layering():
    found = [p for path in tree.files(".c", ".h", ".S")
             for p in layering_problems(path, tree.read(path))]
    assert not found, "\n" + "\n".join(found)


def test_planted_problems_are_found():
    planted = (
        ("alloc/x.c", "#include <quire/arch.h>"), ("alloc/x.c", "#include <efi.h>"),
        ("alloc/x.c", "#include <quire/console.h>"), ("alloc/x.c", '#include "shell.h"'),
        ("proc/x.c", "#include <quire/boot_info.h>"), ("proc/x.c", "#include <stdio.h>"),
        ("efi/x.c", "#include <quire/page.h>"), ("efi/x.c", "#include <quire/kmalloc.h>"),
        ("core/x.c", "#include <efi.h>"), ("core/x.c", '#include "quire_port.h"'),
        ("core/x.c", "#include <quire/nonesuch.h>"), ("include/quire/x.h", '#include "list.h"'),
        ("include/quire/x.h", "#include <stdio.h>"), ("tools/x.c", "#include <efilib.h>"),
        ("alloc/x.c", 'void f(void) { __asm__("hlt"); }'), ("core/x.c", "x = rdmsr(3);"),
        ("proc/x.c", "__builtin_ia32_pause();"), ("core/arch/x86_64/x.c", "EFI_STATUS s;"),
        ("core/x.c", "outb(1, 2);"), ("efi/x.c", "asm(\"cli\");"),
    )
    missed = [p for p in planted if not layering_problems(*p)]
    assert not missed
    fine = (
        ("alloc/x.c", "/* asm */ #include <quire/page.h>\nchar *s = \"cr3\";"),
        ("efi/x.c", "#include <efi.h>\n#include <quire/region.h>\nEFI_STATUS s;"),
        ("core/arch/x86_64/x.c", "#include <quire/arch.h>\nvoid f(void) { __asm__(\"hlt\"); }"),
        ("core/x.c", "#include <quire/shell.h> // EFI_STATUS"),
    )
    wrong = [layering_problems(*p) for p in fine if layering_problems(*p)]
    assert not wrong
