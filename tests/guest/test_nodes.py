# SPDX-License-Identifier: MIT
"""NUMA: what the firmware's tables say is what the page allocator does."""

import json

from books import assert_balanced, assert_checks
from conftest import KASAN

GIB = 1 << 30


def node_of(address):
    """Two nodes of 2 GiB on q35: the second begins behind the hole below 4 GiB."""
    return 1 if address >= 4 * GIB else 0


def test_two_nodes_with_two_cpus_each(boot):
    with boot(memory=4 * GIB, cpus=4, nodes=2) as guest:
        said = guest.run_json("zones --json")
        pages = guest.run_json("pages --json")
        assert [n["domain"] for n in said["nodes"]] == [0, 1]
        assert [n["distances"] for n in said["nodes"]] == [[10, 21], [21, 10]]
        assert [n["cpus"] for n in said["nodes"]] == [[0, 1], [2, 3]]
        assert sum(z["managed_pages"] for z in said["zones"]) == pages["managed_pages"]
        managed = {(z["node"], z["name"]): z["managed_pages"] for z in said["zones"]}
        assert managed[1, "normal"] == 2 * GIB // 4096
        assert managed[0, "normal"] == managed[1, "dma32"] == managed[1, "low"] == 0
        assert "from node 1" in guest.run("zones")
        assert " 0 failed" in guest.run("test", timeout=240)
        assert_balanced(guest)
        assert_checks(guest)


def test_a_full_node_hands_on_to_the_next(boot):
    with boot(memory=4 * GIB, nodes=2) as guest:
        blocks = []
        for _ in range(9):  # of 512 MiB
            text = guest.run("alloc --order 17 --json")
            if '"pfn"' not in text:
                break
            blocks.append(json.loads(text))
        nodes = [node_of(int(b["pfn"], 16) * 4096) for b in blocks]
        assert nodes == sorted(nodes), nodes
        assert nodes.count(0) >= (1 if KASAN else 2) and nodes.count(1) == 4, nodes
        for block in blocks:
            guest.run(f"free {block['address']}")
        assert_balanced(guest)
        assert_checks(guest)


def test_a_machine_without_nodes_is_one(guest):
    said = guest.run_json("zones --json")
    assert len(said["nodes"]) == 1 and said["nodes"][0]["cpus"] == [0]
    assert "distance" not in guest.run("zones")
