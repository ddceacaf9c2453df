# SPDX-License-Identifier: MIT
"""
Quire's library on this machine against other allocators: time (best of several, all of them in turn
so that they meet the same noise) and instructions (callgrind: the difference of two counts).
"""

import ctypes.util
import glob
import os
import re
import subprocess

TIMES, QUICK_TIMES = 5, 3
COUNT = 2_000_000
FEW, MANY = 20_000, 60_000
# (name, program's first argument, LD_PRELOAD as a pattern)
ALLOCATORS = (
    ("harness", "none", None),
    ("Quire", "quire", None),
    ("glibc", "malloc", None),
    ("mimalloc", "malloc", "libmimalloc.so.2"),
    ("jemalloc", "malloc", "libjemalloc.so.2"),
    ("tcmalloc", "malloc", "libtcmalloc_minimal.so.4"),
)
# (title, operation, bytes, count as a share of COUNT, instructions too?)
OBJECTS = (
    ("pair, 64 B", "pair", 64, 4, True),
    ("pair, 1 KiB", "pair", 1024, 4, True),
    ("LIFO 1,000 × 16 B", "lifo", 16, 2, True),
    ("LIFO 1,000 × 256 B", "lifo", 256, 2, True),
    ("LIFO 1,000 × 1 KiB", "lifo", 1024, 1, True),
    ("LIFO 1,000 × 8 KiB", "lifo", 8192, 0.5, True),
    ("churn, 10,000 slots, 16..1024 B", "churn", 0, 1, True),
    ("producer to consumer, 64 B", "handover", 64, 0.5, False),
    ("pair on 2 CPUs, 64 B", "pair-2", 64, 2, False),
)
# Recorded where LLFree, which Debian does not package, was built by hand (ns, net instructions).
LLFREE = {"order-0-pair": (47.3, 450), "order-9-pair": (34.6, 330), "churn": (54.5, None)}
PAGES = (("order-0-pair", "pair, order 0"), ("order-3-pair", "pair, order 3"),
         ("order-9-pair", "pair, order 9"), ("bulk-64", "bulk of 64, alloc + free, per page"),
         ("fill-and-free", "100,000 allocated, then freed, both"),
         ("churn", "churn, 10,000 pages"))
PAGES_FEW, PAGES_MANY = 64 * 400, 64 * 1200


def library(name):
    found = glob.glob(f"/usr/lib/*/{name}") + glob.glob(f"/usr/lib*/{name}")
    return found[0] if found else ctypes.util.find_library(name)


def build(folder):
    done = subprocess.run(["cmake", "--build", folder, "--target", "bench_host_objects",
                           "bench_host_pages", "bench_host_cpus"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout)


def run(words, preload=None, stderr=subprocess.DEVNULL):
    environment = dict(os.environ)
    if preload:
        environment["LD_PRELOAD"] = library(preload) or preload
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True,
                          check=True, timeout=600)
    return done.stdout + (done.stderr or "")


def instructions(words, few, many, preload=None):
    """Of one operation: `words` end with the count."""
    totals = []
    for count in (few, many):
        text = run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *words,
                    str(count)], preload, subprocess.PIPE)
        totals.append(int(re.search(r"Collected : (\d+)", text)[1]))
    return (totals[1] - totals[0]) / (many - few)


def times(program, row, repeats):
    """Best ns of each allocator for one row of OBJECTS."""
    best = {}
    for _ in range(repeats):
        for name, which, preload in ALLOCATORS:
            ns = float(run([program, which, row[1], str(row[2]), str(int(COUNT * row[3]))],
                           preload))
            best[name] = min(ns, best.get(name, ns))
    return best


def objects(program, quick, say):
    time_rows, count_rows = [], []
    for row in OBJECTS:
        say(f"host: {row[0]}")
        best = times(program, row, QUICK_TIMES if quick else TIMES)
        time_rows.append([row[0]] + [f"{best[name]:.1f}" for name, _, _ in ALLOCATORS])
        if not row[4]:
            continue
        counts = [instructions([program, which, row[1], str(row[2])], FEW, MANY, preload)
                  for _, which, preload in ALLOCATORS]
        count_rows.append([row[0]] + [f"{c:.0f}" for c in counts])
    headings = ["operation"] + [name for name, _, _ in ALLOCATORS]
    return [("Objects, ns an operation (best of several, harness included):", headings, time_rows),
            ("Objects, instructions an operation (harness included):", headings, count_rows)]


def pages(program, say):
    say("host: pages")
    ns = dict(re.findall(r"^(\S+) +([\d.]+) ns$", run([program]), re.MULTILINE))
    rows = []
    for name, title in PAGES:
        theirs = LLFREE.get(name, (None, None))
        count = instructions([program, name], PAGES_FEW, PAGES_MANY)
        rows.append([title, ns[name], f"{count:.0f}", str(theirs[0] or "-"), str(theirs[1] or "-")])
    return [("Pages (LLFree's figures were recorded earlier on a machine of this kind, its "
             "instructions without the loop):",
             ["operation", "Quire ns", "Quire instructions", "LLFree ns", "LLFree instructions"],
             rows)]


CPUS = {
    "page-pair": "page pair, order 0",
    "page-pair-order-4": "page pair, order 4",
    "page-shuffled": "10,000 pages, freed shuffled",
    "object-pair": "kmalloc pair, 64 B",
    "object-shuffled": "10,000 of 64 B, freed shuffled",
}


def cpus(program, say):
    say("host: two CPUs")
    found = re.findall(r"^(\S+) (\S+) (\S+)$", run([program]), re.MULTILINE)
    figures = {name: (float(one), float(two)) for name, one, two in found}
    rows = [[title, f"{figures[name][0]:.1f}", f"{figures[name][1]:.1f}",
             f"{2 * figures[name][0] / figures[name][1]:.2f}", "≥ 1.9"]
            for name, title in CPUS.items()]
    local, remote = figures["remote"]
    return [("Quire on two CPUs, ns an operation as each of them sees it:",
             ["operation", "one CPU", "two CPUs", "throughput ÷ one", "target"], rows),
            ("Batches of 1,000 of 64 B, ns to allocate and free one:",
             ["", "freed where allocated", "freed by the other CPU", "ratio", "target"],
             [["kmalloc", f"{local:.1f}", f"{remote:.1f}", f"{remote / local:.2f}", "≤ 2.5"]])]


def measure(folder, quick, say):
    build(folder)
    programs = os.path.join(folder, "tests")
    return (objects(os.path.join(programs, "bench_host_objects"), quick, say)
            + pages(os.path.join(programs, "bench_host_pages"), say)
            + cpus(os.path.join(programs, "bench_host_cpus"), say))
