# SPDX-License-Identifier: MIT
"""The shell: every command, its help and its JSON; wrong words; editing."""

import json

from books import assert_checks

COMMANDS = ("help memmap mem pages zones kmalloc caches ps queues spawn kill alloc free peek check "
            "test log time cpu percpu fail trace version clear panic reboot poweroff").split()
SHOWS_FIGURES = ("memmap mem pages zones kmalloc caches ps queues check time cpu percpu "
                 "version").split()
UP, DOWN, LEFT, HOME, DELETE = "\x1b[A", "\x1b[B", "\x1b[D", "\x1b[H", "\x1b[3~"


def one_line(text, start):
    assert text.startswith(start) and "\n" not in text, repr(text)


def test_help_lists_every_command(guest):
    listed = [line.split()[0] for line in guest.run("help").split("\n") if line.strip()]
    missing = set(COMMANDS) - set(listed)
    assert not missing


def test_every_command_has_help_of_its_own(guest):
    for command in COMMANDS:
        text = guest.run(f"help {command}")
        assert command in text.split("\n")[0] and len(text) > 40, text


def test_figures_come_as_json(guest):
    for command in SHOWS_FIGURES:
        assert "--json" in guest.run(f"help {command}")
        value = guest.run_json(f"{command} --json")
        assert isinstance(value, dict) and value, command


def test_every_json_is_one_line_and_strict(guest):
    """Whatever says it takes --json, with arguments that suit it."""
    arguments = {"alloc": "alloc 24", "peek": "peek 0x100000", "test": "test bounds"}
    tried = []
    for command in COMMANDS:
        if "--json" not in guest.run(f"help {command}") or command == "help":
            continue
        text = guest.run(arguments.get(command, command) + " --json", timeout=120)
        line = [part for part in text.split("\n") if part.startswith("{")]
        assert len(line) == 1, text
        value = json.loads(line[0], parse_constant=lambda c: 1 / 0,
                           object_pairs_hook=no_duplicates)
        if command == "alloc":
            guest.run(f"free {value['address']}")
        tried.append(command)
    assert set(tried) >= set(SHOWS_FIGURES)


def no_duplicates(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), pairs
    return dict(pairs)


def test_wrong_words_get_one_clear_line(guest):
    for command in COMMANDS:
        if command not in ("panic", "help"):
            one_line(guest.run(f"{command} --nonsense"), f"{command}: ")
    for line, start in (("help nonsense", "help: "), ("nonsense", "nonsense: "),
                        ("alloc x", "alloc: "), ("alloc -1", "alloc: "), ("free", "free: "),
                        ("free x", "free: "), ("peek", "peek: "), ("peek 12z", "peek: "),
                        ("spawn --count 3", "spawn: "), ("spawn nonsense", "spawn: "),
                        ("spawn spin --count 0", "spawn: "), ("spawn spin --count x", "spawn: "),
                        ("kill", "kill: "), ("test nonsense", "test: "),
                        ("test fault nonsense", "test: "), ("mem 1", "mem: "),
                        ("panic a b", "panic: "), ("poweroff now", "poweroff: "),
                        ("reboot now", "reboot: ")):
        text = guest.run(line)
        assert "\n" not in text and text, (line, text)
        assert text.startswith(start) or start == "nonsense: ", (line, text)
    assert_checks(guest)


def test_semicolons_separate_commands(guest):
    text = guest.run("version; nonsense ;; version")
    assert text.count(guest.run("version")) == 2, text


def test_empty_lines_and_blanks_do_nothing(guest):
    for line in ("", "   ", ";", " ; ; "):
        assert guest.run(line) == ""


def test_long_lines(guest):
    line = "version; " * 100
    version = guest.run("version")
    assert guest.run(line[:900]).count(version) >= 99
    one_line(guest.run("mem " + "x" * 900), "mem: ")
    guest.run("y" * 3000)  # more than a line holds: no harm
    assert guest.run("version") == version


def type_keys(guest, *keys):
    for key in keys:
        guest.type(key, enter=False)
        guest.idle(0.1)


def test_history(guest):
    version = guest.run("version")
    guest.run("nonsense")
    guest.wait_prompt()
    type_keys(guest, UP, UP)
    assert guest.run_typed() == version
    type_keys(guest, UP, UP, DOWN)
    assert guest.run_typed() == version


def test_editing_within_the_line(guest):
    version = guest.run("version")
    guest.wait_prompt()
    type_keys(guest, "verXsion", LEFT, LEFT, LEFT, LEFT, "\x7f")
    assert guest.run_typed() == version
    type_keys(guest, "Yversion", HOME, DELETE)
    assert guest.run_typed() == version


def test_control_c_drops_the_line(guest):
    version = guest.run("version")
    guest.wait_prompt()
    type_keys(guest, "nonsense", "\x03")
    guest.wait_prompt()
    assert guest.run("version") == version


def test_tab_completes(guest):
    version = guest.run("version")
    guest.wait_prompt()
    type_keys(guest, "vers", "\t")
    assert guest.run_typed() == version


def test_bytes_that_are_no_text_do_no_harm(guest):
    version = guest.run("version")
    guest.wait_prompt()
    guest.serial.send(b"\xff\xfe\x00\x80\xc3\x1b[999~\x1b]\x1bO\x1b[\xf0\x9f\x98\x80\r")
    guest.idle(1)
    guest.serial.send(b"\x03")
    guest.idle(1)
    guest.wait_prompt()
    assert guest.run("version") == version


def test_log_and_time(guest):
    assert "boot: " in guest.run("log", log=True)
    assert guest.run("time")
    guest.run("clear")
    guest.wait_prompt()
