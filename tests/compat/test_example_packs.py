"""What the example packs compute."""

import pytest
import torch

from compat.packs import load_pack
from execution.events import NodeRef
from execution.node_run import NodeRun, Voice
from execution.spec import NodeResult, NodeSpec
from tests.compat.test_schema_nodes import Bench
from tests.end_to_end.conftest import ROOT


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NodeSpec]:
    Bench(tmp_path_factory.mktemp("installation"))
    packs = [load_pack(ROOT / "custom_nodes" / f"example_{name}.disabled") for name in ("native", "classes")]
    assert [pack.trouble for pack in packs] == [None, None]
    assert packs[0].web == {"example_native.disabled": ROOT / "custom_nodes" / "example_native.disabled" / "web"}
    return {spec.id: spec for pack in packs for spec in pack.specs}


def run() -> NodeRun:
    return NodeRun("p", NodeRef("1", "1", None, "1"), {}, {}, Voice(lambda _: None), lambda: False)


def test_grain_is_strongest_in_the_middle_greys_and_the_same_for_one_seed(specs: dict[str, NodeSpec]):
    image = torch.tensor([0.0, 0.5, 1.0]).repeat_interleave(2000).reshape(1, 60, 100, 1).expand(-1, -1, -1, 3)
    film = specs["ExampleFilmGrain"].run
    first = film(image=image, strength=0.1, seed=5, run=run())
    assert isinstance(first, NodeResult)
    changed = (first.values[0] - image)[..., 0].flatten().reshape(3, 2000)
    assert changed[0].abs().max() == 0
    assert changed[2].abs().max() == 0
    assert changed[1].std() == pytest.approx(0.1, rel=0.1)
    again = film(image=image, strength=0.1, seed=5, run=run())
    assert isinstance(again, NodeResult)
    assert torch.equal(first.values[0], again.values[0])
    masked = film(image=image, strength=0.1, seed=5, mask=torch.zeros(1, 60, 100), run=run())
    assert isinstance(masked, NodeResult)
    assert torch.equal(masked.values[0], image)


def test_the_main_colours_are_those_of_the_areas(specs: dict[str, NodeSpec]):
    image = torch.zeros(1, 4, 4, 3)
    image[:, :, :3, 0] = 1.0  # three quarters red, one quarter black
    spec = specs["ExamplePalette"]
    assert spec.new_instance is not None
    given = next(iter(spec.given))
    made = spec.run(spec.new_instance(), image=image, count=16, order="share", **{given: run()})
    assert isinstance(made, NodeResult)
    assert set(made.values[1].split(", ")) == {"#ff0000", "#000000"}
    assert made.values[0].shape == (1, 32, 32 * 16, 3)
