"""How previews are made: as the server was told, or as a job asks."""

import pytest

from nodes.previews import Previews


@pytest.mark.parametrize("method", ["none", "auto", "latent2rgb", "taesd"])
def test_a_job_may_ask_for_its_own_way(method: str):
    assert Previews("auto", size=96).asked_for(method) == Previews(method, size=96)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", [None, "default", "best", 3])
def test_what_is_no_way_leaves_the_servers(method: object):
    given = Previews("taesd", size=96)
    assert given.asked_for(method) is given
