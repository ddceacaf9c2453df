# SPDX-License-Identifier: MIT
"""docs/performance.svg: Quire and Linux, instructions an operation, drawn by gnuplot."""

import re
import subprocess

SCRIPT = """\
set terminal svg size 900,{height} font 'sans-serif,12' background rgb 'white'
set output '{path}'
set title 'Instructions an operation in the same QEMU guest (logarithmic)'
set logscale x
set xrange [4:100000]
set yrange [-0.7:{top}]
set grid xtics
set key top right
set format x '%.0f'
set ytics ({names})
set style fill solid
$data << END
{data}
END
plot $data using 2:($1+0.18):(4):2:($1+0.02):($1+0.36) with boxxyerror lc rgb '#b0b0b0' \\
	title 'Linux 6.1', \\
     $data using 3:($1-0.18):(4):3:($1-0.36):($1-0.02) with boxxyerror lc rgb '#1f6f8b' \\
	title 'Quire'
"""


def draw(path, rows):
    """rows: (name, ours, theirs)"""
    rows = list(reversed(rows))
    names = ", ".join(f"'{name}' {i}" for i, (name, _, _) in enumerate(rows))
    data = "\n".join(f"{i} {theirs} {ours}" for i, (_, ours, theirs) in enumerate(rows))
    script = SCRIPT.format(path=path.replace("'", "''"), height=90 + 22 * len(rows),
                           top=len(rows) - 0.3, names=names, data=data)
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    # gnuplot's own time of day and version would make every run a change.
    text = re.sub(r"<desc>.*?</desc>", "<desc>tools/bench</desc>", text, flags=re.DOTALL)
    text = re.sub(r" +$", "", text, flags=re.MULTILINE)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
