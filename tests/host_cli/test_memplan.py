#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""memplan from outside: every real map and many odd ones, against an oracle of its own.

usage: test_memplan.py MEMPLAN MAPS_DIRECTORY [unittest arguments]

The oracle below is written from the words of the rules (see docs/memory.md), in
another language and another way than the C code: it cuts the address space at every edge
and asks each entry whether it covers the piece.
"""
import json
import pathlib
import random
import re
import subprocess
import sys
import unittest

MEMPLAN = sys.argv[1]
MAPS = pathlib.Path(sys.argv[2])

PAGE = 4096
LIMIT = 1 << 40  # page frames a 52-bit physical address can name
KINDS = {
    "Conventional": "usable", "BootServicesCode": "reclaimable", "BootServicesData": "reclaimable",
    "LoaderCode": "reclaimable", "LoaderData": "reclaimable", "ACPIReclaim": "acpi",
    "ACPINVS": "nvs", "RuntimeServicesCode": "runtime", "RuntimeServicesData": "runtime",
    "Persistent": "persistent", "Unaccepted": "unaccepted", "Reserved": "reserved",
    "PalCode": "reserved", "MMIO": "mmio", "MMIOPortSpace": "mmio", "Unusable": "bad",
}
RANKS = ["usable", "reclaimable", "acpi", "nvs", "runtime", "persistent", "unaccepted", "reserved",
         "mmio", "bad"]
FREE = ("usable", "reclaimable")


def parse(text):
    entries = []
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if words:
            entries.append((KINDS[words[0]], int(words[1], 16), int(words[2])))
    return entries


def oracle_regions(entries):
    """[(first frame, one past the last, kind)], sorted, disjoint, maximal."""
    rounded = []
    for kind, base, pages in entries:
        end = base + pages * PAGE
        if pages == 0 or end >= 1 << 64:
            continue
        if kind == "usable":
            first, past = -(-base // PAGE), end // PAGE
        else:
            first, past = base // PAGE, -(-end // PAGE)
        if past > LIMIT and kind in FREE:
            continue
        if first < min(past, LIMIT):
            rounded.append((first, min(past, LIMIT), RANKS.index(kind)))
    cuts = sorted({edge for first, past, _ in rounded for edge in (first, past)} | {0, 1})
    # Entries by their first cut; those that are over leave the set of live ones.
    rounded.sort()
    live, regions = [], []
    for low, high in zip(cuts, cuts[1:]):
        while rounded and rounded[0][0] <= low:
            live.append(rounded.pop(0))
        live = [e for e in live if e[1] > low]
        if not live:
            continue
        kind = RANKS[max(rank for _, _, rank in live)]
        if low == 0 and kind in FREE:
            kind = "reserved"
        if regions and regions[-1][1] == low and regions[-1][2] == kind:
            regions[-1] = (regions[-1][0], high, kind)
        else:
            regions.append((low, high, kind))
    return regions


def oracle_blocks(regions):
    """(whole pageblocks, {pageblock: pages} of the others): usable and reclaimable pages."""
    whole, partial = 0, {}
    for first, past, kind in regions:
        if kind not in FREE:
            continue
        whole += max(0, past // 512 - -(-first // 512))
        for block in {first // 512, (past - 1) // 512}:
            pages = min(past, block * 512 + 512) - max(first, block * 512)
            if pages < 512:
                partial[block] = partial.get(block, 0) + pages
    return whole, partial


def oracle_plan(regions):
    """(descriptor pages, descriptor frame or None, undescribed pages)."""
    free = sum(past - first for first, past, kind in regions if kind in FREE)
    whole, partial = oracle_blocks(regions)
    budget = max(9 * free // PAGE, 1)
    # Fullest first; a shared pageblock may well be full, too.
    counts = sorted(partial.values(), reverse=True)
    kept = counts[:max(0, budget - whole)]
    described = min(whole, budget) + len(kept)
    undescribed = free - sum(kept) - min(whole, budget) * 512
    for first, past, kind in regions:
        first = max(first, 256)
        if kind == "usable" and past - first >= described:
            return described, first, undescribed
    return described, None, undescribed


def memplan(*args, text=None):
    if isinstance(text, str):
        text = text.encode()
    done = subprocess.run([MEMPLAN, *args], input=text, capture_output=True, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Case(unittest.TestCase):
    def check(self, text, *args):
        """Everything memplan says about a map must be what the oracle says."""
        status, out, err = memplan("--json", *(args or ("-",)), text=text)
        regions = oracle_regions(parse(text))
        pages, frame, undescribed = oracle_plan(regions)
        if frame is None:
            self.assertEqual(status, 1)
            self.assert_one_line(err)
            self.assertEqual(out, "")
            return None
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(out.count("\n"), 1)
        plan = json.loads(out)
        self.assertEqual([(int(r["base"], 16), r["pages"], r["kind"]) for r in plan["regions"]],
                         [(f * PAGE, p - f, k) for f, p, k in regions])
        for kind in FREE:
            self.assertEqual(plan[kind + "_pages"],
                             sum(p - f for f, p, k in regions if k == kind))
        self.assertEqual(plan["descriptor_pages"], pages)
        self.assertEqual(plan["descriptor_base"], hex(frame * PAGE))
        self.assertEqual(plan["undescribed_pages"], undescribed)
        free = plan["usable_pages"] + plan["reclaimable_pages"]
        self.assertLessEqual(pages * PAGE, max(9 * free, PAGE))
        self.assertEqual(list(plan)[:5], ["regions", "usable_pages", "reclaimable_pages",
                                          "descriptor_pages", "descriptor_base"])
        return plan

    def assert_one_line(self, err):
        self.assertRegex(err, r"\Amemplan: [^\n]+\n\Z")


class RealMaps(Case):
    def test_every_map(self):
        maps = sorted(MAPS.glob("*.map"))
        self.assertGreaterEqual(len(maps), 26)
        for path in maps:
            with self.subTest(map=path.name):
                plan = self.check(path.read_text(), str(path))
                self.assertIsNotNone(plan, "a real machine without a plan")
                self.assertEqual(plan["undescribed_pages"], 0)

    def test_order_of_entries_does_not_matter(self):
        rng = random.Random(1)
        for path in sorted(MAPS.glob("*.map")):
            lines = path.read_text().splitlines(keepends=True)
            rng.shuffle(lines)
            with self.subTest(map=path.name):
                self.assertEqual(memplan("--json", "-", text="".join(lines)),
                                 memplan("--json", str(path)))

    def test_text_names_every_region_and_the_plan(self):
        for path in sorted(MAPS.glob("*.map")):
            with self.subTest(map=path.name):
                plan = json.loads(memplan("--json", str(path))[1])
                status, out, err = memplan(str(path))
                self.assertEqual((status, err), (0, ""))
                rows = re.findall(r"^0x([0-9a-f]+)  0x([0-9a-f]+) +(\d+) +[\d.]+ [KMGTP]iB  (\w+) +"
                                  r"[A-Z][A-Za-z, ]+: \S.*$|"
                                  r"^0x(0+)  0x(0*fff) +1 +4 KiB  (reserved) +page 0: .*$",
                                  out, re.M)
                self.assertEqual(len(rows), len(plan["regions"]))
                for row, region in zip(rows, plan["regions"]):
                    if row[4]:
                        continue
                    base = int(region["base"], 16)
                    self.assertEqual((int(row[0], 16), int(row[1], 16), int(row[2]), row[3]),
                                     (base, base + region["pages"] * PAGE - 1, region["pages"],
                                      region["kind"]))
                self.assertIn(f"take {plan['descriptor_pages']} pages", out)
                self.assertIn(f"go to {plan['descriptor_base']},", out)


# A machine that works, to put oddities beside: 1 MiB to 65 MiB.
RAM = "Conventional 0x100000 16384 0xf\n"

# Maps that are strange but say what they mean; the oracle knows what must come out.
ODD = {
    "one region": RAM,
    "page 0 conventional": "Conventional 0x0 160 0xf\n" + RAM,
    "page 0 boot services": "BootServicesCode 0x0 1 0xf\n" + RAM,
    "page 0 runtime": "RuntimeServicesData 0x0 1 0xf\n" + RAM,
    "page 0 joins reserved": "Conventional 0x0 1 0xf\nReserved 0x1000 9 0xf\n" + RAM,
    "unsorted": "Conventional 0x8000000 9 0xf\nMMIO 0x7000000 2 -\n" + RAM + "ACPINVS 0x0 1 0xf\n",
    "reserved inside usable": RAM + "Reserved 0x200000 5 0xf\n",
    "usable inside reserved": RAM + "Reserved 0x40000000 1000 0xf\nConventional 0x40005000 9 0xf\n",
    "same range, every type": RAM + "".join(f"{t} 0x200000 8 -\n" for t in KINDS),
    "same range, every type, backwards": "".join(f"{t} 0x200000 8 -\n" for t in list(KINDS)[::-1])
                                         + RAM,
    "staircase of types": RAM + "".join(f"{t} {0x200000 + i * 0x1000:#x} 40 -\n"
                                        for i, t in enumerate(KINDS)),
    "duplicate entries": RAM * 5,
    "adjacent entries of one kind": RAM + "BootServicesCode 0x4100000 5 0xf\n"
                                          "LoaderData 0x4105000 5 0xf\n",
    "zero pages": RAM + "Reserved 0x200000 0 0xf\nConventional 0x0 0 0xf\n",
    "zero pages, unaligned": RAM + "Reserved 0x200800 0 0xf\n",
    "all types wrap": RAM + "".join(f"{t} 0xfffffffffffff000 2 -\n" for t in KINDS),
    "wraps by its page count": RAM + "Reserved 0x1000 18446744073709551615 -\n",
    "wraps in the product": RAM + "Conventional 0x200000 4503599627370497 -\n",
    "ends exactly at 2^64": RAM + "MMIO 0xfffffffffffff000 1 -\n",
    "whole address space": RAM + "Reserved 0x0 4503599627370496 -\n",
    "all of 52 bits reserved, usable on top": "Conventional 0xffffffffff000 1 -\n" + RAM,
    "usable past 52 bits": RAM + "Conventional 0x10000000000000 5 0xf\n",
    "usable across 52 bits": RAM + "Conventional 0xffffffffff000 2 0xf\n",
    "reclaimable across 52 bits": RAM + "LoaderCode 0xffffffffff000 2 0xf\n",
    "reserved across 52 bits": RAM + "Reserved 0xffffffffff000 2 0xf\n",
    "mmio past 52 bits": RAM + "MMIO 0xfffffff000000000 16 -\n",
    "usable unaligned": RAM + "Conventional 0x8000800 10 0xf\n",
    "usable unaligned, one page": RAM + "Conventional 0x8000001 1 0xf\n",
    "reserved unaligned": RAM + "Reserved 0x8000800 10 0xf\n",
    "reclaimable unaligned over usable": RAM + "BootServicesData 0x200fff 1 0xf\n",
    "unaligned neighbours": RAM + "Conventional 0x8000800 4 0xf\nReserved 0x8004800 4 0xf\n",
    "unaligned neighbours of one kind": RAM + "Conventional 0x8000800 4 0xf\n"
                                              "Conventional 0x8004800 4 0xf\n",
    "persistent and unaccepted": RAM + "Persistent 0x100000000 262144 0xf\n"
                                       "Unaccepted 0x200000000 262144 0xf\n",
    "CRLF": (RAM + "Reserved 0x0 1 0xf\n").replace("\n", "\r\n"),
    "no newline at the end": RAM.rstrip(),
    "tabs and runs of blanks": "\tConventional \t 0x100000   16384\t0xf  \n",
    "comments and blank lines": "# a machine\n\n   # indented\n" + RAM + "\n#" + "x" * 99999 + "\n",
    "comment behind an entry": RAM.rstrip() + "   # the only one\n",
    "attributes of 64 bits": "Conventional 0x100000 16384 0xffffffffffffffff\n",
    "leading zeros": "Conventional 0x00000000000000000000100000 0000016384 0x0\n",
    "upper-case hex": "Conventional 0X00ABC000 16384 0XF\n",
    "RAM from 1 TiB only": "Conventional 0x10000000000 1000000 0xf\n",
    "12 TiB in one region": "Conventional 0x100000000 3221225472 0xf\n",
    "top of 52 bits": RAM + "Conventional 0xfffffc0000000 262144 0xf\n",
    "array needs the second region": "Conventional 0x100000 100 0xf\n"
                                     "Conventional 0x100000000 1048576 0xf\n",
    "array fits to the page": "Conventional 0x100000 1024 0xf\nReserved 0x500000 1 0xf\n"
                              "BootServicesData 0x100000000 522752 0xf\n",
    "a region across 1 MiB": "Conventional 0x1000 16384 0xf\n",
    "one page at 1 MiB": "Conventional 0x100000 1 0xf\n",
    "sparse: every other page": "".join(
        f"Conventional {0x100000 + i * 0x2000:#x} 1 0xf\n" for i in range(2000))
        + "Conventional 0x40000000 1024 0xf\n",
    "sparse: a page in each pageblock": "".join(f"Conventional {0x200000 * (i + 4):#x} 1 0xf\n"
                                                for i in range(3000)) + RAM,
    "sparse: a page in each gibibyte": "".join(f"BootServicesData {0x40000000 * (i + 1):#x} 1 0xf\n"
                                               for i in range(3000)) + RAM,
    "6000 islands of nvs in one sea": "Conventional 0x0 1048576 0xf\n" + "".join(
        f"ACPINVS {0x2000 * (i + 200):#x} 1 0xf\n" for i in range(6000)),
    "6000 entries, all overlapping": "".join(
        f"{list(KINDS)[i % 16]} {0x100000 + i * 0x1000:#x} {2 * (9000 - i)} 0xf\n"
        for i in range(6000)) + "Conventional 0x100000000 999999 0xf\n",
}

# Maps from which no plan can be made, and a word of the reason.
NO_PLAN = {
    "no usable RAM": ("Reserved 0x100000 5000 0xf\nLoaderData 0x4000000 5000 0xf\n",
                      "no usable page"),
    "usable only as page 0": ("Conventional 0x0 1 0xf\n", "no usable page"),
    "usable only below 1 MiB": ("Conventional 0x1000 158 0xf\n", "1 MiB"),
    "all usable covered by reserved": (RAM + "Reserved 0x0 1048576 0xf\n", "no usable page"),
    "only dropped entries": ("Conventional 0x1000 0 0xf\nConventional 0x10000000000000 9 -\n",
                             "no usable page"),
    "array fits nowhere": ("Conventional 0x100000 1023 0xf\n"
                           "BootServicesData 0x100000000 1048576 0xf\n", "holds them whole"),
    "array fits nowhere by one page": ("Conventional 0x200000 1024 0xf\nReserved 0x600000 1 -\n"
                                       "BootServicesData 0x100000000 524288 0xf\n",
                                       "1026 pages.*has 1024"),
    "scattered single pages": ("".join(f"Conventional {0x400000 * i:#x} 1 0xf\n"
                                       for i in range(1, 2000)), "holds them whole"),
}

# Files that are no maps: the line to blame (None: the file as a whole), and a word of the reason.
MALFORMED = {
    "empty file": ("", None, "no memory map entries"),
    "only comments": ("# one\n# two\n", None, "no memory map entries"),
    "only blank lines": ("\n  \n\t\n", None, "no memory map entries"),
    "only a byte order mark": ("\ufeff", None, "no memory map entries"),
    "unknown type": (RAM + "Bogus 0x0 1 0xf\n", 2, "unknown memory type 'Bogus'"),
    "type in the wrong case": ("conventional 0x100000 16384 0xf\n", 1, "unknown memory type"),
    "type cut short": ("Conv 0x100000 16384 0xf\n", 1, "unknown memory type"),
    "type as a number": ("7 0x100000 16384 0xf\n", 1, "unknown memory type"),
    "one column": (RAM + "Conventional\n", 2, "fewer columns"),
    "two columns": (RAM + "Conventional 0x0\n", 2, "fewer columns"),
    "three columns": (RAM + "Conventional 0x0 1\n", 2, "fewer columns"),
    "five columns": (RAM + "Conventional 0x0 1 0xf 0xf\n", 2, "more columns"),
    "column commented out": (RAM + "Conventional 0x0 1 #0xf\n", 2, "fewer columns"),
    "address no number": ("Conventional start 16384 0xf\n", 1, "start address 'start'"),
    "address with a stray letter": ("Conventional 0x10000g 16384 0xf\n", 1, "start address"),
    "address only 0x": ("Conventional 0x 16384 0xf\n", 1, "start address '0x'"),
    "address negative": ("Conventional -0x1000 16384 0xf\n", 1, "start address"),
    "address of 65 bits": ("Conventional 0x10000000000000000 1 0xf\n", 1, "64 bits"),
    "address with a plus": ("Conventional +0x1000 1 0xf\n", 1, "start address"),
    "pages no number": (RAM + "\n# x\nReserved 0x0 many 0xf\n", 4, "page count 'many'"),
    "pages negative": ("Conventional 0x100000 -5 0xf\n", 1, "page count '-5'"),
    "pages of 65 bits": ("Conventional 0x100000 18446744073709551616 0xf\n", 1, "64 bits"),
    "pages huge": ("Conventional 0x100000 " + "9" * 400 + " 0xf\n", 1, "64 bits"),
    "pages with a fraction": ("Conventional 0x100000 1.5 0xf\n", 1, "page count"),
    "pages with a unit": ("Conventional 0x100000 64K 0xf\n", 1, "page count"),
    "pages hexadecimal without 0x": ("Conventional 0x100000 ff 0xf\n", 1, "page count"),
    "attributes no number": ("Conventional 0x100000 16384 WB\n", 1, "attributes 'WB'"),
    "attributes of 65 bits": ("Conventional 0x100000 16384 0x10000000000000000\n", 1, "64 bits"),
    "attributes twice -": ("Conventional 0x100000 16384 --\n", 1, "attributes '--'"),
    "comma separated": ("Conventional,0x100000,16384,0xf\n", 1, "fewer columns"),
    "garbage line": (RAM + "!!! ??? ***\n", 2, "fewer columns"),
    "binary": (bytes(range(256)) * 4, 1, "."),
    "NUL in a line": (b"Conventional 0x100000 16384\0 0xf\n", 1, "page count"),
    "NUL behind the type": (b"Conventional\0 0x100000 16384 0xf\n", 1, "unknown memory type"),
    "terminal escapes are not echoed": (b"\x1b[31mred 0x0 1 0xf\n", 1, r"'\?\[31mred'"),
    "long garbage is cut": ("x" * 100000 + " 0x0 1 0xf\n", 1, r"'x{20}\.\.\.'"),
    "lone CR as line end": ("Conventional 0x100000 16384 0xf\rReserved 0x0 1 0xf\r", 1,
                            "more columns"),
    "UTF-16": (RAM.encode("utf-16"), 1, "."),
    "first of two errors": ("Bogus 0x0 1 0xf\nAlso bogus\n", 1, "Bogus"),
    "error behind many good lines": (RAM * 5000 + "Bogus 0x0 1 0xf\n", 5001, "Bogus"),
    "error on a last line without newline": (RAM + "Reserved 0x0", 2, "fewer columns"),
    "error in a file with CRLF": (RAM.replace("\n", "\r\n") * 3 + "Reserved 0x0 x -\r\n", 4, "'x'"),
}


class OddMaps(Case):
    def test_odd_maps(self):
        self.assertGreaterEqual(len(ODD) + len(NO_PLAN) + len(MALFORMED), 40)
        for name, text in ODD.items():
            with self.subTest(name):
                self.assertIsNotNone(self.check(text), "no plan")
                self.assertEqual(memplan("-", text=text)[0], 0)

    def test_no_plan(self):
        for name, (text, reason) in NO_PLAN.items():
            with self.subTest(name):
                self.assertIsNone(self.check(text))
                for args in (("-",), ("--json", "-")):
                    status, out, err = memplan(*args, text=text)
                    self.assertEqual((status, out), (1, ""))
                    self.assert_one_line(err)
                    self.assertRegex(err, "no plan is possible: .*" + reason)

    def test_malformed(self):
        for name, (text, line, reason) in MALFORMED.items():
            with self.subTest(name):
                for args in (("-",), ("--json", "-")):
                    status, out, err = memplan(*args, text=text)
                    self.assertEqual((status, out), (1, ""))
                    self.assert_one_line(err)
                    self.assertLess(len(err), 250)
                    where = f"-:{line}: " if line else "-: "
                    self.assertTrue(err.startswith("memplan: " + where), err)
                    self.assertRegex(err, reason)

    def test_byte_order_mark(self):
        self.assertEqual(memplan("--json", "-", text="\ufeff" + RAM),
                         memplan("--json", "-", text=RAM))

    def test_hexadecimal_pages(self):
        self.assertEqual(memplan("--json", "-", text=RAM.replace("16384", "0x4000")),
                         memplan("--json", "-", text=RAM))

    def test_address_without_0x(self):
        self.assertEqual(memplan("--json", "-", text=RAM.replace("0x100000", "100000")),
                         memplan("--json", "-", text=RAM))

    def test_text_tells_what_was_dropped(self):
        text = (RAM + "Reserved 0x9000000 0 0xf\nMMIO 0xfffffffffffff000 2 -\n"
                "Conventional 0x8000800 4 0xf\nReserved 0xa000800 4 0xf\n"
                "Conventional 0xffffffffff000 2 0xf\n")
        out = memplan("-", text=text)[1]
        for line, words in ((2, "has no pages"), (3, "wraps"), (4, "shrunk"), (5, "grown"),
                            (6, "highest physical address")):
            self.assertRegex(out, rf"(?m)^line {line}: .*{words}")

    def test_text_tells_what_is_too_sparse(self):
        text = ODD["sparse: a page in each gibibyte"]
        undescribed = self.check(text)["undescribed_pages"]
        self.assertGreater(undescribed, 0)
        self.assertRegex(memplan("-", text=text)[1], rf"(?m)^{undescribed} pages .* unused")

    def test_random_maps(self):
        seed = random.randrange(1 << 32)
        print(f"test_memplan: seed {seed}", file=sys.stderr)
        rng = random.Random(seed)
        for _ in range(150):
            lines = [RAM] if rng.random() < 0.8 else []
            for _ in range(rng.randrange(60)):
                base = rng.randrange(1 << rng.choice((20, 26, 33, 45, 52)))
                if rng.random() < 0.8:
                    base &= ~0xfff
                pages = rng.randrange(1 << rng.choice((1, 4, 10, 20)))
                lines.append(f"{rng.choice(list(KINDS))} {base:#x} {pages} 0xf\n")
            with self.subTest(seed=seed):
                if lines:
                    self.check("".join(lines))


class Documentation(unittest.TestCase):
    def test_output_shown_is_real(self):
        """docs/memory.md shows a session; it must be what memplan prints today."""
        top = pathlib.Path(__file__).resolve().parents[2]
        text = (top / "docs/memory.md").read_text()
        shown = re.findall(r"^\$ build/host/memplan (\S+)\n(.*?)^```", text, re.M | re.S)
        self.assertTrue(shown)
        for path, output in shown:
            done = subprocess.run([MEMPLAN, path], cwd=top, capture_output=True, check=True)
            self.assertEqual(done.stdout.decode(), output)


class CommandLine(Case):
    def test_help(self):
        status, out, err = memplan("--help")
        self.assertEqual((status, err), (0, ""))
        self.assertTrue(out.startswith("usage: memplan [--json] FILE.map"))

    def test_wrong_usage(self):
        for args in ((), ("--json",), ("--yaml", "-"), ("-x",), ("a.map", "b.map"), ("",) * 2):
            with self.subTest(args=args):
                status, out, err = memplan(*args)
                self.assertEqual((status, out), (2, ""))
                self.assertTrue(err.startswith("usage: memplan"))

    def test_options_after_the_file(self):
        path = str(next(MAPS.glob("*.map")))
        self.assertEqual(memplan(path, "--json"), memplan("--json", path))

    def test_no_such_file(self):
        status, out, err = memplan("/nonexistent/file.map")
        self.assertEqual((status, out), (1, ""))
        self.assertEqual(err, "memplan: /nonexistent/file.map: No such file or directory\n")

    def test_a_directory(self):
        status, out, err = memplan(str(MAPS))
        self.assertEqual((status, out), (1, ""))
        self.assert_one_line(err)

    def test_full_disk(self):
        for args in ((), ("--json",)):
            with open("/dev/full", "w", encoding="ascii") as full:
                done = subprocess.run([MEMPLAN, *args, "-"], input=RAM.encode(), stdout=full,
                                      stderr=subprocess.PIPE, check=False)
            self.assertEqual(done.returncode, 1)
            self.assert_one_line(done.stderr.decode())

    def test_a_hundred_thousand_entries(self):
        text = RAM + "".join(f"Reserved {0x2000 * i:#x} 1 0xf\n" for i in range(100000, 200000))
        plan = json.loads(memplan("--json", "-", text=text)[1])
        self.assertEqual(len(plan["regions"]), 100001)
        self.assertEqual(plan["entries"], 100001)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
