# SPDX-License-Identifier: MIT
"""What tools/bench --check calls worse, without a guest; and the data it compares with."""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools"))

import bench  # noqa: E402  (tools/ is on the path only now)


def rows(**medians):
    return {name: {"median": value} for name, value in medians.items()}


def test_ten_per_cent_pass_and_more_does_not():
    assert bench.problems({"pair": 50.0}, rows(pair=55.0)) == []
    assert len(bench.problems({"pair": 50.0}, rows(pair=55.2))) == 1
    assert bench.problems({"pair": 50.0}, rows(pair=20.0)) == []


def test_a_row_that_is_gone_skipped_or_new_is_told():
    assert "no such row" in bench.problems({"pair": 50.0}, {})[0]
    assert "no memory" in bench.problems({"pair": 50.0}, {"pair": {"skipped": "no memory"}})[0]
    assert "not recorded" in bench.problems({}, rows(pair=1.0))[0]


def test_every_target_and_every_linux_figure_is_for_a_row_there_is():
    recorded = json.loads((HERE / "recorded.json").read_text(encoding="utf-8"))
    linux = json.loads((HERE / "linux-6.1.json").read_text(encoding="utf-8"))["rows"]
    targets = json.loads((HERE / "targets.json").read_text(encoding="utf-8"))
    slow = {"recovery-50", "recovery-70", "recovery-90"}
    assert set(linux) <= set(recorded)
    assert set(targets) <= set(recorded) | slow
