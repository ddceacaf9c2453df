# SPDX-License-Identifier: MIT
"""The small wrongs that tools/mutate tries: where a text can change, and how to call a change."""
import collections
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[1]

COMPARISONS = {" < ": [" <= "], " <= ": [" < "], " > ": [" >= "], " >= ": [" > "],
               " == ": [" != "], " != ": [" == "]}
OPERATORS = {" + ": [" - "], " - ": [" + "], " * ": [" + "], " / ": [" * "], " % ": [" / "],
             " << ": [" >> "], " >> ": [" << "], " & ": [" | "], " | ": [" & "], " ^ ": [" | "],
             " && ": [" || "], " || ": [" && "], " += ": [" -= "], " -= ": [" += "],
             " |= ": [" &= "], " &= ": [" |= "], "++": ["--"], "--": ["++"]}
STATEMENT = re.compile(r"^\t+(?!return|break|continue|goto|case|default|else|struct|const|static|"
                       r"uint|size_t|unsigned|int |bool |char |void |pfn_t|port_irq_t|for|while|"
                       r"if|do\b|enum|union)[^\t\n/][^\n]*;$", re.M)
CONDITION = re.compile(r"\b(if) \((.*)\)( \{)?$", re.M)
NUMBER = re.compile(r"(?<![\w.])(\d+)(u|ull|ul)?(?![\w.])")
CALL = re.compile(r"\b([a-z]\w*)\(([^(),]+), ([^(),]+)([,)])")


def blank(text):
    """The text with comments, strings and preprocessor lines as blanks, all positions kept."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|^#(?!define)[^\n]*'
                         r"|_Static_assert\(.*?\);|\b(?:un)?likely\b|\bport_(?:panic|relax)\([^;]*;"
                         r"|\bassert\([^;]*;|^static inline (?=\w)", re.S | re.M)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def changes_of(code, text):
    """(start, end, replacement) for each change worth trying."""
    body = [m.span() for m in re.finditer(r"^\{$.*?^\}|^#define[^\n]*(?:\\\n[^\n]*)*", code,
                                          re.S | re.M)]

    def inside(at):
        return any(start <= at < end for start, end in body)

    for table in (COMPARISONS, OPERATORS):
        for old, news in table.items():
            for m in re.finditer(re.escape(old), code):
                if inside(m.start()):
                    for new in news:
                        yield m.start(), m.end(), new
    for m in NUMBER.finditer(code):
        if inside(m.start()):
            value, suffix = int(m[1]), m[2] or ""
            yield m.start(), m.end(), f"{value + 1}{suffix}"
            if value:
                yield m.start(), m.end(), f"{value - 1}{suffix}"
    for m in CONDITION.finditer(code):
        if inside(m.start()):
            start, end = m.span(2)
            yield start, end, "!(" + text[start:end] + ")"
    for m in STATEMENT.finditer(code):
        # The whole of a statement stands on this line.
        if inside(m.start()) and code[:m.start()].rstrip()[-1:] in ";{}:)" \
                and m[0].count("(") == m[0].count(")") and re.search(r"=|\(|\+\+|--", m[0]):
            indent = len(m[0]) - len(m[0].lstrip("\t"))
            yield m.start() + indent, m.end(), ";"
    for m in CALL.finditer(code):
        if inside(m.start()) and m[2].strip() != m[3].strip() \
                and m[1] not in ("if", "while", "for"):
            yield m.start(), m.end(), f"{m[1]}({m[3]}, {m[2]}{m[4]}"
    for m in re.finditer(r"return (true|false);", code):
        yield m.start(), m.end(), "return " + ("false" if m[1] == "true" else "true") + ";"


Mutant = collections.namedtuple("Mutant", "path start end new line name key")


def around(code, at):
    """The function or macro that a position is in."""
    found = [m for m in re.finditer(r"^(?:#define (\w+)| *[a-z][^\n;=]*?(\w+)\()", code, re.M)
             if m.start() <= at]
    return (found[-1][1] or found[-1][2]) if found else ""


def mutants_of(path):
    """All mutants of a file.

    `name` says file, function and the changed line, so it stays what it was while other lines move;
    `key` tells apart those with one name.
    """
    text = (TOP / path).read_text(encoding="utf-8")
    code = blank(text)
    seen = collections.Counter()
    for start, end, new in changes_of(code, text):
        first, last = text.rfind("\n", 0, start) + 1, text.find("\n", end)
        before = " ".join(text[first:last].split())
        after = " ".join((text[first:start] + new + text[end:last]).split())
        name = f"{path} {around(code, start)}: {before} -> {after}"
        seen[name] += 1
        yield Mutant(path, start, end, new, text.count("\n", 0, start) + 1, name,
                     f"{name} #{seen[name]}")
