"""Every node that all clients count on is there, and a test runs it.

Those whose inputs can be made from their declarations are run by test_purity; the rest, which read models, by name.
"""

import re
from pathlib import Path

import pytest

from nodes.catalogue import all_nodes
from tests.nodes.test_object_info import KNOWN
from tests.nodes.test_purity import SPECS

FIRST_TIER = sorted(id for id, known in KNOWN.items() if known["tier"] == 1)
HERE = {spec.id for spec in all_nodes()}
TESTS = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
CALLED = set(re.findall(r'\bcall\(\s*"([^"]+)"', TESTS))


@pytest.mark.parametrize("id", FIRST_TIER)
def test_a_node_that_clients_count_on_is_there_and_run(id: str):
    assert id in HERE
    assert id in {spec.id for spec in SPECS} | CALLED


def test_every_other_node_is_run_too():
    assert HERE - {spec.id for spec in SPECS} <= CALLED
