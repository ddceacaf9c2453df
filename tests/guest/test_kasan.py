# SPDX-License-Identifier: MIT
"""
In a build that checks every access (preset kasan): each kind of wrong access, provoked by
`test misuse access-...`. A report ends the kernel, so one guest is saved and resumed for each.
"""

import re

import pytest
from endings import assert_survives_work, provoke

MACHINE = {"memory": 256 << 20, "cpu": "max"}

OWNER = r"allocated by access_owner\+0x"
FREER = r"freed by     access_freer\+0x"
OVER = r"heap out-of-bounds: {} of 1 bytes at 0x[0-9a-f]{{16}} by access_{}s\+0x"
FREED = r"use after free: {} of 1 bytes at 0x[0-9a-f]{{16}} by access_{}s\+0x"
PAST = r"0 bytes past an object of {} bytes at 0x[0-9a-f]{{16}}"

# What the report must say, besides who and where.
REPORTS = {
    "access-over-edge": (OVER.format("write", "write"), PAST.format(64), OWNER, r"\[fa\]"),
    "access-over-slack": (OVER.format("write", "write"), PAST.format(41), OWNER, r"\[01\] fa"),
    "access-over-read": (OVER.format("read", "read"), PAST.format(41), OWNER),
    "access-under": (OVER.format("write", "write"), OWNER, r"\[fa\]"),
    "access-under-first": (r"heap out-of-bounds \(room .*\): write of 1 .* by access_writes\+0x",
                           r"\b1 bytes before an object of 4096 bytes", OWNER, r"\[fc\]"),
    "access-over-large": (OVER.format("write", "write"), PAST.format(20000), OWNER),
    "access-freed-read": (FREED.format("read", "read"), r"at byte 8 of an object", OWNER, FREER,
                          r"\[fb\]"),
    "access-freed-write": (FREED.format("write", "write"), OWNER, FREER),
    "access-freed-reused": (FREED.format("write", "write"), OWNER, FREER),
    "access-freed-large": (r"use of a free page: write of 1 bytes", FREER, r"\[fe\]"),
    "access-free-page": (r"use of a free page: write of 1 bytes", r"page frame 0x[0-9a-f]+, free"),
    "access-cache": (OVER.format("write", "write"), PAST.format(41), r"class victims",
                     r"allocated by misuse_provoke_access_cache\+0x"),
    "access-stack": (r"stack out-of-bounds .*: write of 1 bytes", r"kernel stack window",
                     r"\[f3\]"),
    "access-global": (r"global out-of-bounds: read of 1 bytes", r"global_array\+0x18"),
    "access-memcpy": (r"heap out-of-bounds: read of 42 bytes .*"
                      r"by misuse_provoke_access_memcpy\+0x", PAST.format(41)),
    "access-memset": (r"heap out-of-bounds: write of 42 bytes .*"
                      r"by misuse_provoke_access_memset\+0x", PAST.format(41)),
}


@pytest.fixture(name="saved", scope="module")
def fixture_saved(boot, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "kasan"
    with boot(**MACHINE) as guest:
        listed = re.findall(r"^  (access-\S+)", guest.run("test misuse"), re.M)
        guest.save(path)
    return path, listed


def assert_report(text, ending, patterns):
    assert ending.reason == "debug-exit", f"{ending}\n{text}"
    assert text.count("*** KASAN: ") == 1, text
    for pattern in patterns:
        assert re.search(pattern, text), f"{pattern}\n{text}"
    assert re.search(r"> 0x[0-9a-f]{16}:.*\[[0-9a-f]{2}\]", text), f"no shadow:\n{text}"
    assert re.search(r"\bshell_\w+\+0x", text), f"no symbols of the shell's frames:\n{text}"


def test_every_access_on_offer_is_tested(saved):
    assert set(saved[1]) == set(REPORTS)


@pytest.mark.parametrize("name", REPORTS)
def test_access(boot, saved, name):
    with boot(prompt=False, resume=saved[0], **MACHINE) as guest:
        text, ending = provoke(guest, lambda g: g.type(f"test misuse {name}"))
    assert_report(text, ending, REPORTS[name])


def test_double_free_after_reuse(boot, saved):
    """Its slot waits, so it is the second free that is refused, and not the next owner's."""
    with boot(prompt=False, resume=saved[0], **MACHINE) as guest:
        guest.type("")
        guest.wait_prompt()
        text = guest.run("test misuse kmalloc-double-free-reused")
        assert "the kernel went on" in text, text
        guest.wait_prompt()
        report = "\n".join(guest.kernel_lines())
    for pattern in (r"kmalloc: double free: .*\(refused\)", r"caller +kmalloc_culprit\+0x",
                    r"allocated by kmalloc_owner\+0x", r"freed by +kmalloc_first_free\+0x"):
        assert re.search(pattern, report), f"{pattern}\n{report}"


def test_what_the_kernel_does_is_clean(boot):
    with boot(cpus=2, **MACHINE) as guest:
        assert_survives_work(guest)
