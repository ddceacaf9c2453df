# SPDX-License-Identifier: MIT
"""
Which functions look at a stack canary: those with arrays do; the allocators' fast paths have none
and stay as they are; and what runs before a CPU can reach its canary must not ask for it, however
the compiler inlines.
"""

import os
import pathlib
import re
import subprocess

import pytest
import tree

BUILD = pathlib.Path(os.environ.get("QUIRE_BUILD", tree.TOP / "build"))
CANARY = re.compile(r"%gs:(16|0x10)\b")
EARLY = {"stack_guard_boot", "segments_load", "begin"}
FAST = {"kmalloc", "kfree", "kmem_cache_alloc", "kmem_cache_free", "page_alloc_block",
        "page_free_block"}
CHECKED = {"shell_run_line", "port_stack_alloc", "log_write", "stack_smash"}


def guarded(disassembly):
    name, found, all_names = None, set(), set()
    for line in disassembly.splitlines():
        start = re.match(r"[0-9a-f]+ <(.*)>:", line)
        if start:
            name = start[1]
            all_names.add(name)
        elif CANARY.search(line):
            found.add(name)
    return found, all_names


@pytest.fixture(name="functions", scope="module")
def fixture_functions():
    return guarded(subprocess.run(["llvm-objdump", "-d", "--no-show-raw-insn", BUILD / "quire.elf"],
                                  check=True, capture_output=True, text=True).stdout)


def test_what_runs_without_gs_asks_for_no_canary(functions):
    found, names = functions
    assert EARLY - {"begin"} <= names
    assert not EARLY & found


def test_fast_paths_gain_no_instruction(functions):
    found, names = functions
    assert {"kmalloc", "kfree"} <= names
    assert not FAST & found


def test_functions_with_arrays_are_checked(functions):
    assert CHECKED <= functions[0]
    assert len(functions[0]) > 100


def test_a_planted_canary_is_found():
    text = "ff <kmalloc>:\n ff: movq %gs:16, %rax\nff <kfree>:\n ff: movq %gs:8, %rax\n"
    assert guarded(text) == ({"kmalloc"}, {"kmalloc", "kfree"})
