# SPDX-License-Identifier: MIT
"""The source files, and their text with comments and strings blanked out."""

import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("efi", "core", "alloc", "proc", "include", "tests", "tools")


def files(*suffixes):
    """Paths relative to the top, sorted."""
    found = (p for folder in FOLDERS for p in (TOP / folder).rglob("*"))
    return sorted(str(p.relative_to(TOP)) for p in found if p.suffix in suffixes and p.is_file())


def read(path):
    return (TOP / path).read_text(encoding="utf-8")


def blank(match):
    return re.sub(r"[^\n]", " ", match[0])


def without_comments(text):
    """The same lines and columns, comments made blank."""
    pattern = r'/\*.*?\*/|//[^\n]*|("(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\')'
    return re.sub(pattern, lambda m: m[0] if m[1] else blank(m), text, flags=re.DOTALL)


def code_only(text):
    """The same lines and columns, comments and strings made blank."""
    return re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, without_comments(text))


def line_of(text, position):
    return text.count("\n", 0, position) + 1
