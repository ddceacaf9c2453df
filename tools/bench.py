#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measure Quire, in a guest and on this machine. Called by tools/bench."""

import argparse
import json
import os
import sys

import bench_guest
import bench_host
import bench_report
import qemu
import run

TOP = run.TOP
DATA = os.path.join(TOP, "tests/bench")
RECORDED = os.path.join(DATA, "recorded.json")
GROWTH = 1.10  # of a recorded count that is an error
ROUNDING = 0.05
MEASURED, WORSE, USAGE = 0, 1, 2

EPILOG = """\
Without an option: all three parts, and docs/performance.md and .svg are written anew. The guest's
figures are instructions and repeat exactly; the host's are times and hold side by side only.
No figure is an error, but for --check.
"""


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Parser(argparse.ArgumentParser):
    def error(self, message):  # one clear line
        self.exit(USAGE, f"bench: {message} (try --help)\n")


def parse(words):
    p = Parser(prog="tools/bench", description="Measure Quire's allocators, threads and boot.",
               epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
               allow_abbrev=False)
    p.add_argument("--guest", action="store_true", help="operations in the guest, against Linux")
    p.add_argument("--boot", action="store_true", help="the boot, at sizes from 256 MiB to 1 TiB")
    p.add_argument("--host", action="store_true",
                   help="the library on this machine, against other allocators")
    p.add_argument("--quick", action="store_true", help="fewer rounds, nothing that takes long")
    p.add_argument("--no-docs", action="store_true", help="leave docs/performance.* alone")
    p.add_argument("--record", action="store_true",
                   help="measure the guest's operations and make them what --check compares with")
    p.add_argument("--check", action="store_true",
                   help="fail when one takes over 10 %% more instructions than recorded")
    p.add_argument("--no-build", action="store_true", help="measure what was built before")
    p.add_argument("--build-dir", default=os.path.join(TOP, "build"), help=argparse.SUPPRESS)
    options = p.parse_args(words)
    if not (options.guest or options.boot or options.host):
        options.guest = options.boot = options.host = True
    return options


def load(name):
    with open(os.path.join(DATA, name), encoding="utf-8") as f:
        return json.load(f)


def record(build):
    rows = bench_guest.operations(build, quick=True)
    counts = {name: row["median"] for name, row in rows.items() if "median" in row}
    with open(RECORDED, "w", encoding="utf-8") as f:
        json.dump(counts, f, indent="\t")
        f.write("\n")
    say(f"recorded {len(counts)} figures")
    return MEASURED


def problems(recorded, rows):
    """What is worse than recorded, a sentence each."""
    found = []
    for name, was in recorded.items():
        now = rows.get(name, {}).get("median")
        if now is None:
            found.append(f"{name}: recorded {was:g}, not measured now "
                         f"({rows.get(name, {}).get('skipped', 'no such row')})")
        elif now > was * GROWTH + ROUNDING:
            found.append(f"{name}: {now:g}, {100 * (now / was - 1):.0f} % more than the {was:g} "
                         "recorded")
    found += [f"{name}: not recorded yet" for name in rows if name not in recorded]
    return found


def check(build):
    rows = bench_guest.operations(build, quick=True)
    found = problems(load("recorded.json"), rows)
    for line in found:
        say(line)
    if found:
        say("if that is meant: tools/bench --record")
        return WORSE
    say(f"{len(rows)} figures, none more than 10 % above what is recorded")
    return MEASURED


def boots(build):
    result = []
    for memory, cpu in bench_guest.BOOT_SIZES:
        say(f"booting with {memory >> 20} MiB" + (f", -cpu {cpu}" if cpu else ""))
        result.append((memory, cpu, *bench_guest.boot(build, memory, cpu)))
    return result


def measure(options):
    report = bench_report.Report(TOP, docs=not options.no_docs)
    if options.guest:
        say("measuring operations in the guest (a few minutes without --quick)")
        rows = bench_guest.operations(options.build_dir, options.quick)
        report.guest(rows, load("linux-6.1.json"), load("targets.json"))
    if options.boot:
        report.boot(boots(options.build_dir), load("linux-6.1.json")["boot"])
    if options.host:
        report.host(bench_host.measure(options.build_dir, options.quick, say))
    return MEASURED


def main():
    options = parse(sys.argv[1:])
    try:
        if not options.no_build:
            run.build(options.build_dir)
        if options.record:
            return record(options.build_dir)
        if options.check:
            return check(options.build_dir)
        return measure(options)
    except (run.Failure, qemu.GuestError) as error:
        say(str(error))
        return USAGE


if __name__ == "__main__":
    sys.exit(main())
