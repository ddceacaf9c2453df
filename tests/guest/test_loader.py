# SPDX-License-Identifier: MIT
"""The loader's settings reach the kernel; detours on its way leave the books in order."""

import pytest
from books import assert_balanced, assert_checks
from conftest import BUILD


def loader_lines(guest):
    return [line[line.index("Quire loader: ") :] for line in guest.lines.done
            if "Quire loader: " in line]


def test_command_line_and_autorun_come_from_quire_cfg(boot):
    config = "# a comment\r\ncmdline=log=debug word=1\r\nautorun=version; mem\r\n"
    with boot(config=config, prompt=False) as guest:
        guest.wait_text(r"metadata")  # of mem's table
        guest.wait_prompt()
        guest.wait_text(r"^quire> version; mem$|^Quire \d")


def test_load_options_are_the_command_line_of_a_bare_efi_file(boot):
    with boot(kernel=str(BUILD / "BOOTX64.EFI"), append="panic_on_corruption=1") as guest:
        guest.run_json("alloc 300 --json")
        address = guest.run_json("alloc 300 --json")["address"]
        guest.run(f"free {address}")
        guest.type(f"free {address}")
        assert guest.wait_end().reason == "debug-exit"


@pytest.mark.parametrize("refusals", (1, 3))
def test_refused_places_for_the_array(boot, refusals):
    with boot(config=f"refuse={refusals}\n") as guest:
        lines = "\n".join(loader_lines(guest))
        assert lines.count("refused") >= refusals, lines
        assert_balanced(guest)
        assert_checks(guest)


def test_a_map_that_changes_under_the_exit(boot):
    with boot(config="stale=5\n") as guest:
        assert_balanced(guest)
