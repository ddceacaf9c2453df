# SPDX-License-Identifier: MIT
"""
Figures as tables: on the terminal, and in docs/performance.md between its markers, where only what
was measured this time is replaced. The text around them is written by people.
"""

import os
import re

import bench_chart
from machine import GIB, MIB, TIB

FIRST_PAGE_MAX = 1_000_000
PROMPT_RATIO_MAX = 1.10


def number(value):
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 20 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def memory_text(size):
    for unit, name in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB")):
        if size >= unit:
            return f"{size / unit:g} {name}"
    return f"{size} B"


def table(headings, rows):
    """A Markdown table, columns aligned so that a terminal can show it, too."""
    cells = [headings] + rows
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]

    def line(row):
        padded = [c.ljust(w) if i == 0 else c.rjust(w)
                  for i, (c, w) in enumerate(zip(row, widths))]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":"
                          for i, w in enumerate(widths)) + "|"
    return "\n".join([line(headings), rule] + [line(row) for row in rows])


def verdict(median, goal):
    """'met', 'stretch', or how far off; '' without a target."""
    if "least" in goal:
        missed = 100 * (1 - median / goal["least"])
        return "met" if missed <= 0 else f"missed by {missed:.1g} %" if missed < 1 \
            else f"missed by {missed:.0f} %"
    if "target" not in goal:
        return ""
    if median > goal["target"]:
        return f"missed by {100 * (median / goal['target'] - 1):.0f} %"
    return "stretch" if median <= goal.get("stretch", 0) else "met"


def goal_text(goal):
    if "least" in goal:
        return f"≥ {goal['least']}"
    return f"≤ {goal['target']:,}" if goal else ""


class Report:
    def __init__(self, top, docs):
        self.page = os.path.join(top, "docs/performance.md")
        self.chart = os.path.join(top, "docs/performance.svg")
        self.docs = docs

    def guest(self, rows, linux, targets):
        lines, charted = [], []
        for name, row in rows.items():
            if "skipped" in row:
                lines.append([name, "-", "-", "-", "-", "", "skipped: " + row["skipped"]])
                continue
            theirs, goal, median = linux["rows"].get(name), targets.get(name, {}), row["median"]
            low, high = number(row["min"]), number(row["max"])
            spread = "-" if low == high else f"{low}..{high}"
            ratio = f"{theirs / median:.1f}" if theirs and median else "-"
            lines.append([name, number(median), spread, number(theirs), ratio, goal_text(goal),
                          verdict(median, goal)])
            if theirs and row["unit"] == "ticks" and name != "churn-loop":
                charted.append((name, median, theirs))
        text = table(["operation", "Quire", "spread", "Linux 6.1", "Linux ÷ Quire", "target",
                      "result"], lines)
        if self.docs:
            bench_chart.draw(self.chart, charted)
        self.write("guest", text)

    def boot(self, results, linux):
        smallest = {cpu: prompt for memory, cpu, _, prompt in reversed(results)
                    if memory == min(r[0] for r in results)}
        lines = []
        for memory, cpu, page, prompt in results:
            ratio = prompt / smallest[cpu]
            theirs = linux.get(f"{memory // MIB}M" if memory < GIB else f"{memory // GIB}G")
            good = page <= FIRST_PAGE_MAX and ratio <= PROMPT_RATIO_MAX
            lines.append([memory_text(memory) + (" (-cpu max)" if cpu else ""), number(page),
                          f"{theirs * 1e6:,.0f}" if theirs else "-", number(prompt),
                          f"{ratio:.3f}", "met" if good else "missed"])
        self.write("boot", table(
            ["RAM", "ExitBootServices to first page_alloc", "Linux: start_kernel to allocator",
             "kernel entry to first prompt", "÷ 256 MiB", f"≤ {FIRST_PAGE_MAX:,}, ≤ "
             f"{PROMPT_RATIO_MAX:.2f}"], lines))

    def host(self, sections):
        load, _, _ = os.getloadavg()
        busy = (f"Measured on {os.cpu_count()} CPUs with a load average of {load:.1f}"
                + (": this machine was busy, the times are no more than a hint."
                   if load > os.cpu_count() + 1 else "."))
        self.write("host", "\n\n".join([busy] + [f"{title}\n\n{table(headings, rows)}"
                                                for title, headings, rows in sections]))

    def write(self, part, text):
        print(f"\n{text}\n", flush=True)
        if not self.docs:
            return
        with open(self.page, encoding="utf-8") as f:
            page = f.read()
        begin, end = f"<!-- bench: {part} -->\n", f"<!-- bench: end of {part} -->"
        marked = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        if not marked.search(page):
            raise ValueError(f"{self.page} has no place for {part}")
        with open(self.page, "w", encoding="utf-8") as f:
            f.write(marked.sub(lambda _: begin + text + "\n" + end, page))
