#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Prove the bit tricks of alloc/page_bits.h, the rounding of a firmware map's entry in alloc/region.c,
and the axioms of tests/prove/wp/facts.h, for every value of their arguments.

  prove.py CLANG INCLUDE...

The compiler makes LLVM IR of functions.c; each function of it becomes a z3 formula, instruction by
instruction; z3 then looks for an argument for which it is not what the plain definition below says.
Nothing is transcribed by hand, so what is proved is what was compiled. For each claim a wrong one
next to it is tried as well, and must be refuted.
"""

import pathlib
import re
import subprocess
import sys
import time

import z3

HERE = pathlib.Path(__file__).resolve().parent
OPERATIONS = {
    "and": lambda a, b: a & b, "or": lambda a, b: a | b, "xor": lambda a, b: a ^ b,
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b,
    "shl": lambda a, b: a << b, "lshr": z3.LShR, "udiv": z3.UDiv, "urem": z3.URem,
}
COMPARISONS = {"eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "ult": z3.ULT,
               "ugt": z3.UGT, "ule": z3.ULE, "uge": z3.UGE}


def bits(number):
    return z3.BitVecVal(number, 64)


def leading_zeros(v, width):
    result = z3.BitVecVal(width, width)
    for i in range(width):
        result = z3.If(z3.Extract(i, i, v) == 1, z3.BitVecVal(width - 1 - i, width), result)
    return result


class Function:
    """One function of the IR: blocks of instructions; no loops, no memory."""

    def __init__(self, name, parameters, body):
        self.name, self.parameters, self.blocks = name, parameters, {}
        block = None
        body = re.sub(r"\[\n([^\]]*)\]", lambda m: "[" + m[1].replace("\n", ",") + "]", body)
        for line in body.split("\n"):
            line = re.sub(r", !\w+ !\d+|\s*;.*", "", line).strip()
            label = re.fullmatch(r"([\w.]+):", line)
            if label:
                block = self.blocks.setdefault(label[1], [])
            elif line:
                block.append(line)

    def __call__(self, *arguments):
        env = dict(zip(self.parameters, arguments))
        return self.run(next(iter(self.blocks)), None, env)

    @staticmethod
    def value(text, width, env):
        if text.startswith("%"):
            return env[text]
        number = {"true": 1, "false": 0}.get(text)
        return z3.BitVecVal(int(text) if number is None else number, width)

    def run(self, label, came_from, env):
        env = dict(env)
        for line in self.blocks[label]:
            match = re.fullmatch(r"br i1 (\S+), label %(\S+), label %(\S+)", line)
            if match:
                condition = self.value(match[1], 1, env) == 1
                return z3.If(condition, self.run(match[2], label, env),
                             self.run(match[3], label, env))
            match = re.fullmatch(r"br label %(\S+)", line)
            if match:
                return self.run(match[1], label, env)
            match = re.fullmatch(r"switch i(\d+) (\S+), label %(\S+) \[(.*)\]", line)
            if match:
                value = self.value(match[2], int(match[1]), env)
                result = self.run(match[3], label, env)
                for case, to in re.findall(r"i\d+ (\S+), label %([\w.]+)", match[4]):
                    result = z3.If(value == int(case), self.run(to, label, env), result)
                return result
            match = re.fullmatch(r"ret i(\d+) (\S+)", line)
            if match:
                return self.value(match[2], int(match[1]), env)
            result, text = re.fullmatch(r"(%\S+) = (.*)", line).groups()
            env[result] = self.evaluate(text, came_from, env)
        raise ValueError(f"{self.name}: no end")

    def evaluate(self, text, came_from, env):
        match = re.fullmatch(r"phi i(\d+) (.*)", text)
        if match:
            ways = dict((b, a) for a, b in re.findall(r"\[ (\S+), %(\S+) \]", match[2]))
            return self.value(ways[came_from], int(match[1]), env)
        match = re.fullmatch(r"icmp (\w+) i(\d+) (\S+), (\S+)", text)
        if match:
            width = int(match[2])
            holds = COMPARISONS[match[1]](self.value(match[3], width, env),
                                          self.value(match[4], width, env))
            return z3.If(holds, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1))
        match = re.fullmatch(r"select i1 (\S+), i(\d+) (\S+), i\d+ (\S+)", text)
        if match:
            width = int(match[2])
            return z3.If(self.value(match[1], 1, env) == 1, self.value(match[3], width, env),
                         self.value(match[4], width, env))
        match = re.fullmatch(r"(zext|trunc) i(\d+) (\S+) to i(\d+)", text)
        if match:
            value, to = self.value(match[3], int(match[2]), env), int(match[4])
            if match[1] == "zext":
                return z3.ZeroExt(to - value.size(), value)
            return z3.Extract(to - 1, 0, value)
        match = re.fullmatch(r"(?:tail )?call i(\d+) @llvm\.ctlz\.i\d+\(i\d+ (\S+), .*", text)
        if match:
            width = int(match[1])
            return leading_zeros(self.value(match[2], width, env), width)
        match = re.fullmatch(
            r"(?:tail )?call i(\d+) @llvm\.usub\.sat\.i\d+\(i\d+ (\S+), i\d+ (\S+)\).*", text)
        if match:
            left, right = (self.value(match[i], int(match[1]), env) for i in (2, 3))
            return z3.If(z3.ULT(left, right), z3.BitVecVal(0, int(match[1])), left - right)
        match = re.fullmatch(r"(\w+)(?: nuw| nsw| exact)* i(\d+) (\S+), (\S+)", text)
        width = int(match[2])
        return OPERATIONS[match[1]](self.value(match[3], width, env),
                                    self.value(match[4], width, env))


def functions_of(clang, includes):
    ir = subprocess.run([clang, "-std=c17", "-O2", "-fno-vectorize", "-fno-slp-vectorize",
                         "-fno-jump-tables", "-fno-discard-value-names",
                         "-S", "-emit-llvm", "-o", "-",
                         *("-I" + i for i in includes), HERE / "functions.c"],
                        check=True, stdout=subprocess.PIPE, text=True).stdout
    found = {}
    for head, parameters, body in re.findall(
            r"^define [^@]*@prove_(\w+)\(([^)]*)\)[^\n]*\{\n(.*?)^\}", ir, re.M | re.S):
        names = re.findall(r"%[\w.]+", parameters)
        found[head] = Function(head, names, body)
    return found


# ---- what the functions should be, said plainly ----


def run_at(word, at, k):
    """2^k ones from bit `at` up."""
    return z3.Extract(at + (1 << k) - 1, at, word) == z3.BitVecVal(-1, 1 << k)


def has_run(word, k):
    return z3.Or([run_at(word, at, k) for at in range(0, 64, 1 << k)])


def bit(condition, n):
    return z3.If(condition, bits(1 << n), bits(0))


def summary(word):
    return sum((bit(has_run(word, k), k) for k in range(7)), bits(0))


def starts(word, k):
    return sum((bit(run_at(word, at, k), at) for at in range(0, 64, 1 << k)), bits(0))


def byte_says(runs, w, k):
    return z3.Extract(8 * w + k, 8 * w + k, runs) == 1


def words(runs, k):
    """The words of a summary where an aligned run of 2^k starts."""
    if k <= 6:
        return sum((bit(byte_says(runs, w, k), 8 * w) for w in range(8)), bits(0))
    many = 1 << (k - 6)
    return sum((bit(z3.And([byte_says(runs, w + i, 6) for i in range(many)]), 8 * w)
                for w in range(0, 8, many)), bits(0))


def largest(runs):
    result = bits(255)
    for k in range(10):
        result = z3.If(words(runs, k) != 0, bits(k), result)
    return result


def is_summary(runs):
    """Each byte is what word_runs() can return."""
    possible = (0, 1, 3, 7, 0xf, 0x1f, 0x3f, 0x7f)
    return z3.And([z3.Or([z3.Extract(8 * w + 7, 8 * w, runs) == p for p in possible])
                   for w in range(8)])


PFN_LIMIT = 1 << 40
WIDE = 80  # bits enough for every sum here


def true(condition):
    return z3.If(condition, bits(1), bits(0))


def rounding_claims(f):
    base, pages, kind, frame = z3.BitVecs("base pages kind frame", 64)
    after_base = f["round_base"](base, pages, kind)
    after_pages = f["round_pages"](base, pages, kind)
    wide = [z3.ZeroExt(WIDE - 64, v) for v in (base, pages, frame, after_base, after_pages)]
    b, p, n, ab, ap = wide
    end = b + p * 4096
    sound = z3.And(z3.ULT(end, z3.BitVecVal(1 << 64, WIDE)), p != 0)
    first = z3.LShR(ab, 12)
    covered = z3.And(ap != 0, z3.ULE(first, n), z3.ULT(n, first + ap))
    whole = z3.And(sound, z3.ULE(b, n * 4096), z3.ULE((n + 1) * 4096, end))
    touched = z3.And(sound, z3.ULT(b, (n + 1) * 4096), z3.UGT(end, n * 4096))
    below = z3.ULT(frame, PFN_LIMIT)
    low_end = z3.ULE(end, z3.BitVecVal(PFN_LIMIT * 4096, WIDE))
    free, other = kind == 0, z3.And(z3.UGE(kind, 2), z3.ULT(kind, 12))
    some = z3.And(z3.ULE(frame, 1 << 52), z3.ULT(kind, 12))
    yield ("entry_round: no frame from 2^40 on is ever covered", some,
           true(z3.Implies(covered, below)), bits(1))
    yield ("entry_round: what is left begins at a page", True,
           true(z3.Or(after_pages == 0, after_base & 4095 == 0)), bits(1))
    yield ("entry_round: an entry that wraps past 2^64 covers nothing", some,
           true(z3.Implies(z3.Not(sound), z3.Not(covered))), bits(1))
    yield ("entry_round: usable covers only frames that lie wholly in it", z3.And(some, free),
           true(z3.Implies(covered, whole)), bits(1))
    yield ("entry_round: and all of those, if none is past the limit", z3.And(some, free, low_end),
           true(z3.Implies(whole, covered)), bits(1))
    yield ("entry_round: reclaimable covers only frames it touches", z3.And(some, kind == 1),
           true(z3.Implies(covered, touched)), bits(1))
    yield ("entry_round: any other kind covers every frame it touches", z3.And(some, other),
           true(z3.Implies(z3.And(touched, below), covered)), bits(1))
    yield ("entry_round: and no others", z3.And(some, other),
           true(z3.Implies(covered, touched)), bits(1))
    pages_of = z3.ZeroExt(WIDE - 64, f["bytes_to_pages"](base))
    yield ("bytes_to_pages: the least number of pages that holds them", True,
           true(z3.And(z3.UGE(pages_of * 4096, b), z3.ULT(pages_of * 4096, b + 4096))), bits(1))


def claims(f):
    """name, assumption, what is, what should be"""
    x, at, n = z3.BitVecs("x at n", 64)
    yield ("word_runs: bit k says there is an aligned run of 2^k", True,
           f["word_runs"](x), summary(x))
    yield ("word_runs: a byte of it is one of eight values", True,
           z3.If(is_summary(f["word_runs"](x)), bits(1), bits(0)), bits(1))
    for k in range(7):
        yield (f"word_run_starts({k}): exactly where aligned runs start", True,
               f[f"word_run_starts_{k}"](x), starts(x, k))
    for k in range(10):
        yield (f"runs_words({k}): exactly the words where such a run starts", True,
               f[f"runs_words_{k}"](x), words(x, k))
    yield ("runs_class: the largest k with a run of 2^k", is_summary(x),
           f["runs_class"](x), largest(x))
    room = z3.And(z3.ULE(n, 64), z3.UGE(n, 1), z3.ULE(at, 63), z3.ULE(at + n, 64))
    mask = sum((bit(z3.And(z3.ULE(at, i), z3.ULT(i, at + n)), i) for i in range(64)), bits(0))
    yield "bits_mask: n ones from bit `at` up", room, f["bits_mask"](at, n), mask


def fact_claims(f):
    x, k = z3.BitVecs("x k", 64)
    for name, function in f.items():
        if name.startswith("fact_"):
            yield (f"{name}: holds for all x and k", True, function(x, k), bits(1))


def holds(assumption, left, right):
    solver = z3.Solver()
    solver.set("timeout", 120000)
    solver.add(assumption, left != right)
    return solver.check() == z3.unsat


def main(arguments):
    functions = functions_of(arguments[0], arguments[1:])
    failed = 0
    for name, assumption, left, right in (
            *claims(functions), *rounding_claims(functions), *fact_claims(functions)):
        start = time.monotonic()
        proved = holds(assumption, left, right)
        refuted = not holds(assumption, left, right ^ 1)
        failed += not (proved and refuted)
        print(f"{'proved' if proved else 'NOT PROVED':10} {time.monotonic() - start:6.2f} s  {name}"
              f"{'' if refuted else '; AND SO IS ITS OPPOSITE'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
