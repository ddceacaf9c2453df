# SPDX-License-Identifier: MIT
"""tools/run as a person uses it: what it prints, how it ends, what it refuses."""

import json
import subprocess

import pytest
from conftest import BUILD, TOP

RUN = [str(TOP / "tools/run.py"), "--no-build", "--build-dir", str(BUILD)]


def run(*words, timeout=150):
    return subprocess.run([*RUN, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False)


def test_cmd_prints_what_the_kernel_prints_and_nothing_else():
    done = run("--cmd", "mem --json; pages --json; poweroff")
    assert done.returncode == 0, done
    assert done.stderr == ""
    assert "\x1b" not in done.stdout and "\r" not in done.stdout
    assert "BdsDxe" not in done.stdout and done.stdout.startswith("[")
    objects = [json.loads(line) for line in done.stdout.split("\n") if line.startswith("{")]
    assert len(objects) == 2 and "ram_pages" in objects[0]


def test_cmd_powers_off_by_itself():
    done = run("--cmd", "version", "--memory", "128M", "--machine", "pc", "--usb")
    assert done.returncode == 0, done


def test_cmd_fails_after_a_panic():
    done = run("--cmd", "panic; poweroff")
    assert done.returncode == 1 and done.stderr.startswith("run: "), done


def test_timeout_is_an_error_of_its_own():
    done = run("--cmd", "version", "--timeout", "1")
    assert done.returncode == 124 and "1 s" in done.stderr, done


def test_settings_and_screenshot(tmp_path):
    picture = tmp_path / "screen.png"
    done = run("--cmdline", "word=1", "--autorun", "version; mem --json", "--screenshot",
               str(picture))
    assert done.returncode == 0, done
    assert any(line.startswith("{") for line in done.stdout.split("\n"))
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n") and picture.stat().st_size > 2000


@pytest.mark.parametrize("words", (
    ("--memory", "3T"), ("--memory", "12"), ("--memory", "32M"), ("--memory", "64.5M"),
    ("--cpus", "0"), ("--cpus", "256"), ("--machine", "isapc"), ("--nonsense",), ("nonsense",),
    ("--cmd",), ("--cmd", "a\nb"), ("--cmd", "x" * 1024), ("--timeout", "0"),
    ("--screenshot", "a.ppm"), ("--gdb", "--cmd", "mem"), ("--firmware", "/nonexistent")))
def test_nonsense_gets_one_clear_line(words):
    done = run(*words)
    assert done.returncode != 0 and done.stdout == ""
    assert done.stderr.startswith("run: ") and done.stderr.count("\n") == 1, done.stderr


def test_setup_has_nothing_to_do_and_says_nothing():
    done = subprocess.run([TOP / "tools/setup"], capture_output=True, text=True, check=False,
                          timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_setup_refuses_an_unknown_set():
    done = subprocess.run([TOP / "tools/setup", "nonsense"], capture_output=True, text=True,
                          check=False, timeout=30)
    assert done.returncode == 1 and "nonsense" in done.stderr
