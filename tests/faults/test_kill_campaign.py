"""Servers that are killed at any moment keep what they promised. `make kill-test N=100` does the same at length."""

from pathlib import Path

import pytest

from tests.faults.campaign import campaign
from tests.faults.doomed import SERVER, WORKER, points


@pytest.mark.timeout(400)
def test_twenty_five_kills_break_no_promise(tmp_path: Path):
    report = campaign(tmp_path, 25, seed=20240607)
    assert report.violations == []
    assert report.jobs > 50, "the campaign had nothing to lose"


def test_there_are_as_many_named_points_as_the_campaign_promises():
    assert len(points(SERVER) + points(WORKER)) >= 24
