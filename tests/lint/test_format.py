# SPDX-License-Identifier: MIT
"""Formatting is .clang-format's word; sizes and first lines are CONTRIBUTING.md's."""

import re
import subprocess

import tree

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
LINE_COLUMNS_MAX = 100


def clang_format(text_or_paths):
    """What clang-format would change; '' when nothing."""
    if isinstance(text_or_paths, list):
        words, text = text_or_paths, None
    else:
        words, text = ["--assume-filename=x.c"], text_or_paths
    done = subprocess.run(["clang-format", "--style=file", "--dry-run", "-Werror", *words],
                          cwd=tree.TOP, input=text, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout if done.returncode else ""


def functions(text):
    """(name, first line, last line): bodies open and close in column 0, as .clang-format has it."""
    code = tree.code_only(text)
    for match in re.finditer(r"^\{$.*?^\}", code, re.DOTALL | re.MULTILINE):
        head = code[: match.start()].rsplit("\n}", 1)[-1].rsplit(";", 1)[-1]
        names = re.findall(r"(\w+)\(", head)
        yield (names[0] if names else "?", tree.line_of(code, match.start()),
               tree.line_of(code, match.end()))


def size_problems(path, text):
    found = []
    lines = text.split("\n")
    if len(lines) > FILE_LINES_MAX:
        found.append(f"{path}: {len(lines)} lines; one idea a file, {FILE_LINES_MAX} at most")
    if path.endswith((".c", ".h")):
        for name, first, last in functions(text):
            if last - first + 1 > FUNCTION_LINES_MAX:
                found.append(f"{path}:{first}: {name}() has {last - first + 1} lines; "
                             f"{FUNCTION_LINES_MAX} at most")
    for number, line in enumerate(lines, 1):
        if path.endswith(".py") and len(line) > LINE_COLUMNS_MAX:
            found.append(f"{path}:{number}: longer than {LINE_COLUMNS_MAX} columns")
        if line != line.rstrip():
            found.append(f"{path}:{number}: blanks at the end of the line")
    return found


def text_problems(path, text):
    found = []
    comment = r"(#!.*\n)?# {}\n" if path.endswith(".py") else r"/\* {} \*/\n"
    if not re.match(comment.format("SPDX-License-Identifier: MIT"), text):
        found.append(f"{path}: no SPDX line at the top")
    if not text.endswith("\n") or text.endswith("\n\n"):
        found.append(f"{path}: must end in exactly one newline")
    for match in re.finditer(r"\b(TODO|FIXME|XXX|HACK)\b", text):
        if not path.startswith("tests/lint/"):
            found.append(f"{path}:{tree.line_of(text, match.start())}: {match[0]} left behind")
    return found


def check(problems, *suffixes):
    found = [p for path in tree.files(*suffixes) for p in problems(path, tree.read(path))]
    assert not found, "\n" + "\n".join(found)


def test_formatting():
    wrong = clang_format(tree.files(".c", ".h"))
    assert not wrong, "run clang-format -i:\n" + wrong[:4000]


def test_sizes():
    check(size_problems, ".c", ".h", ".S", ".py")


def test_first_lines_and_leftovers():
    check(text_problems, ".c", ".h", ".S", ".py", ".ld")


def test_planted_problems_are_found():
    assert clang_format("int f( void ) { return 1; }\n")
    assert not clang_format("int f(void)\n{\n\treturn 1;\n}\n")
    long = "int f(void)\n{\n" + "\tg();\n" * 69 + "}\n"
    assert size_problems("x.c", long)
    assert not size_problems("x.c", long.replace("\tg();\n", "", 1))
    assert size_problems("x.c", "\n" * 601)
    assert size_problems("x.py", "x" * 101 + "\n")
    assert size_problems("x.c", "int a; \n")
    good = "/* SPDX-License-Identifier: MIT */\nint a;\n"
    assert not text_problems("x.c", good)
    assert not text_problems("x.py", "#!/bin/x\n# SPDX-License-Identifier: MIT\n")
    for bad in (good[3:9], "//" + good[2:], good + "/* TODO */\n", good + "\n", good.rstrip()):
        assert text_problems("x.c", bad)
