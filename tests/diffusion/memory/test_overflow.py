"""What happens when memory runs out: slower ways, and words about them."""

from collections.abc import Callable

import pytest
import torch

from diffusion.memory.conveyor import BUFFERS
from diffusion.memory.in_place import InPlace
from diffusion.memory.keeper import keep
from diffusion.memory.leaves import leaves_of
from diffusion.memory.measured import Measured
from diffusion.memory.pretend import PretendDevice
from diffusion.memory.residency import Residency
from diffusion.memory.work import GB, Need, OutOfMemory, Place, Way, Work
from tests.diffusion.memory.networks import dit

MB = 2**20


def taking(size: int, device: PretendDevice | None = None) -> Callable[[Place], int]:
    """A job that allocates so many bytes, and says how many."""

    def job(place: Place) -> int:
        torch.zeros(size, dtype=torch.uint8)
        return size

    return job


def failing(times: int) -> Callable[[Place], str]:
    """A job that overflows so many times."""
    left = [times]

    def job(place: Place) -> str:
        left[0] -= 1
        if left[0] >= 0:
            raise torch.OutOfMemoryError("no")
        return "done"

    return job


def test_the_first_way_that_fits_is_taken_and_the_others_are_told_about():
    told: list[str] = []
    sample = dit()
    ways = [Way(taking(8 * MB), 8 * MB), Way(taking(3 * MB), 3 * MB, "in 4 tiles"), Way(taking(MB), MB, "in 16 tiles")]
    keeper = Residency(PretendDevice(6 * MB), tell=told.append)
    assert keeper.run(Work("VAE decode", [Need(sample.network)], ways)) == 3 * MB
    assert told == ["VAE decode in 4 tiles: 8.0 MB needed, 6.0 MB free"]


def test_an_estimate_that_was_too_low_costs_time_and_not_the_job():
    told: list[str] = []
    sample = dit()
    ways = [Way(taking(8 * MB), MB), Way(taking(3 * MB), MB, "in 4 tiles")]
    measured = Measured()
    keeper = Residency(PretendDevice(6 * MB), tell=told.append, measured=measured)
    work = Work("VAE decode", [Need(sample.network)], ways, "decode 64x64")
    assert keeper.run(work) == 3 * MB
    assert told[-1].startswith("VAE decode in 4 tiles: ")
    assert measured.get("decode 64x64 in 4 tiles") == 3 * MB
    told.clear()
    tried: list[int] = []
    watched = [
        Way(lambda place, way=way: tried.append(0) or way.job(place), way.activations, way.words) for way in ways
    ]
    assert keeper.run(Work("VAE decode", work.needs, watched, "decode 64x64")) == 3 * MB
    assert len(tried) == 1  # it is known by now that the first way does not fit


def test_weights_make_room_before_another_way_is_taken():
    sample = dit()
    device = PretendDevice(sample.bytes + MB)
    told: list[str] = []
    keeper = Residency(device, tell=told.append)
    ways = [Way(taking(2 * MB), 0), Way(taking(MB), 0, "in 4 tiles")]
    assert keeper.run(Work("VAE decode", [Need(sample.network)], ways)) == 2 * MB
    assert told == [f"DiT streamed: {told[0].split(': ')[1]}"]


@pytest.mark.parametrize("times", range(5))
def test_a_job_is_run_again_with_more_room_and_other_networks_leave_first(times: int):
    sample, other = dit(), dit()
    keeper = Residency(PretendDevice(2 * sample.bytes))
    keep(sample.network, keeper, "this")
    keep(other.network, keeper, "other")
    keeper.run(Work("before", [Need(other.network)], [Way(lambda place: None)]))
    assert keeper.run(Work("work", [Need(sample.network)], [Way(failing(times))])) == "done"
    there = {model["name"]: model["bytes"]["device"] / sample.bytes for model in keeper.report()["models"]}
    window = BUFFERS * max(leaf.bytes for leaf in leaves_of(sample.network)) / sample.bytes
    assert there["this"] == pytest.approx((1.0, 1.0, 1.0, 0.5 - window, 0.0)[times], abs=0.07)
    assert there["other"] == pytest.approx((1.0, 0.5, 0.0, 0.0, 0.0)[times], abs=0.07)


def test_when_nothing_helps_the_numbers_are_said():
    sample = dit()
    keeper = Residency(PretendDevice(5 * MB))
    with pytest.raises(OutOfMemory, match=r"VAE decode needs about 8\.\d MB .* 5\.0 MB can be made free") as caught:
        keeper.run(Work("VAE decode", [Need(sample.network)], [Way(taking(8 * MB), 8 * MB)]))
    assert caught.value.free == 5 * MB


def test_other_errors_are_nobody_elses_business():
    def broken(place: Place) -> None:
        raise ValueError("broken")

    sample = dit()
    device = PretendDevice(5 * MB)
    with pytest.raises(ValueError, match="broken"):
        Residency(device).run(Work("work", [Need(sample.network)], [Way(broken), Way(lambda place: None)]))


def test_in_place_the_way_is_chosen_from_free_memory():
    told: list[str] = []
    sample = dit()
    ways = [Way(lambda place: "whole", int(6.1 * GB)), Way(lambda place: "tiled", GB, "in 4 tiles")]
    keeper = InPlace(lambda: int(3.9 * GB), told.append)
    assert keeper.run(Work("VAE decoded", [Need(sample.network)], ways)) == "tiled"
    assert told == ["VAE decoded in 4 tiles: 6.1 GB needed, 3.9 GB free"]


def test_in_place_an_overflow_leads_to_the_next_way():
    sample = dit()
    ways = [Way(failing(9)), Way(lambda place: "tiled", 0, "in 4 tiles")]
    assert InPlace().run(Work("VAE decoded", [Need(sample.network)], ways)) == "tiled"
    with pytest.raises(OutOfMemory):
        InPlace().run(Work("VAE decoded", [Need(sample.network)], ways[:1]))


def test_what_was_measured_survives_a_restart(tmp_path):
    file = tmp_path / "state" / "measured.json"
    Measured(file).note("decode 64x64", 5)
    assert Measured(file).get("decode 64x64") == 5
    file.write_text("not json")
    assert Measured(file).get("decode 64x64") is None
