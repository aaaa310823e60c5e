"""An installation of packs' names in a folder that is thrown away, with small models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from compat.border import to_pack
from compat.install import install
from compat.world import World
from diffusion.store import ModelStore
from execution.spec import NodeSpec
from nodes.catalogue import all_nodes
from nodes.previews import Previews
from storage.folders import Folders
from storage.inputs import Inputs
from storage.outputs import Outputs
from tests.nodes import tiny


def installed(base: Path, **flags: Any) -> World:
    """The names of packs, for an installation at this folder."""
    folders = Folders(base)
    folders.make()
    inputs = Inputs(folders.input, folders.output, folders.temp)
    outputs, store = Outputs(folders.output, folders.temp), ModelStore()
    nodes: dict[str, NodeSpec] = {spec.id: spec for spec in all_nodes()}
    previews = Previews(folders=folders, store=store)
    capabilities = {Inputs: inputs, Outputs: outputs, Folders: folders, ModelStore: store, Previews: previews}
    world = World(folders, inputs, outputs, store, flags, nodes, capabilities)
    install(world)
    return world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return installed(tmp_path)


@pytest.fixture
def patcher(world: World) -> Any:
    """A MODEL as packs get it."""
    return to_pack(tiny.model())


@pytest.fixture
def clip(world: World) -> Any:
    return to_pack(tiny.text_encoders())


@pytest.fixture
def vae(world: World) -> Any:
    return to_pack(tiny.autoencoder())


@pytest.fixture
def conds() -> tuple[list[Any], list[Any]]:
    """A positive and a negative conditioning for the small model."""
    torch.manual_seed(3)
    width = tiny.UNET.context_width
    return [[torch.randn(1, 77, width), {}]], [[torch.randn(1, 77, width), {}]]


Sample = Callable[..., torch.Tensor]


@pytest.fixture
def sampled(conds: tuple[list[Any], list[Any]]) -> Sample:
    """Samples with a patcher by packs' own function: `sampled(patcher, sampler=…, cfg=…)`."""

    def sample(patcher: Any, sampler: str = "euler", cfg: float = 3.0, steps: int = 3, **more: Any) -> torch.Tensor:
        from comfy import sample

        positive, negative = conds
        latent = more.pop("latent", torch.zeros(1, 4, 8, 8))
        noise = sample.prepare_noise(latent, 5)
        return sample.sample(
            patcher, noise, steps, cfg, sampler, "karras", positive, negative, latent, disable_pbar=True, seed=5, **more
        )

    return sample
