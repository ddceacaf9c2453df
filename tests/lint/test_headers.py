# SPDX-License-Identifier: MIT
"""
Every contract compiles alone and may be included twice, for the kernel and for a host.

$QUIRE_KERNEL_FLAGS: the compiler's options for the kernel, from tests/lint.cmake.
"""

import os
import shlex
import subprocess

import pytest
import tree

KERNEL = shlex.split(os.environ.get("QUIRE_KERNEL_FLAGS", ""))
HOST = ["-std=gnu17", "-DQUIRE_HOSTED", "-Itests/host", "-Wall", "-Wextra", "-Werror"]
KERNEL += ["-std=gnu17", "-Icore/arch/x86_64"]


def compile_text(text, flags):
    done = subprocess.run(["clang", "-x", "c", "-fsyntax-only", "-Iinclude", *flags, "-"],
                          cwd=tree.TOP, input=text, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout if done.returncode else ""


@pytest.mark.parametrize("flags", (KERNEL, HOST), ids=("kernel", "host"))
def test_headers_are_self_contained(flags):
    found = []
    for path in tree.files(".h"):
        if path.startswith("include/"):
            line = f"#include <{path[len('include/'):]}>\n"
            found.append(compile_text(line * 2, flags))
    assert not any(found), "\n".join(filter(None, found))


def test_planted_problem_is_found():
    assert compile_text("uint64_t f(void);\n", HOST)
    assert not compile_text("#include <stdint.h>\nuint64_t f(void);\n", HOST)
