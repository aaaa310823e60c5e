"""GLIGEN: our UNet with its hooks and diffusers' gated UNet give the same for the same weights and boxes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import save_file

from diffusion.checkpoints.errors import CheckpointError
from diffusion.models.gligen import Gligen
from diffusion.sampling.grounding import GroundedBox, Grounding
from diffusion.store import ModelStore
from tests.diffusion.models.oracle import TOLERANCE, randomised, relative_error

PHRASES = torch.randn(2, 48, generator=torch.Generator().manual_seed(2))
BOXES = ((3, 4, 1, 2), (8, 5, 0, 7))  # height, width, y, x in a latent of 8 x 16


@pytest.fixture(scope="module")
def theirs() -> Any:
    network = UNet2DConditionModel(
        block_out_channels=(32, 64, 64, 64),
        layers_per_block=1,
        cross_attention_dim=48,
        attention_head_dim=8,
        attention_type="gated",
    )
    return randomised(network)


@pytest.fixture(scope="module")
def file(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gligen") / "gated.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in theirs.state_dict().items()}, path)
    return path


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_grounded_unet_agrees(theirs: Any, file: Path, count: int):
    store = ModelStore()
    network, gligen = store.diffusion_model(file).network, store.gligen(file)
    assert isinstance(gligen, Gligen)
    grounding = Grounding(gligen, tuple(GroundedBox(PHRASES[i : i + 1], *BOXES[i]) for i in range(count)))
    generator = torch.Generator().manual_seed(1)
    x, context = torch.randn(2, 4, 8, 16, generator=generator), torch.randn(2, 7, 48, generator=generator)
    times = torch.tensor([3, 801])
    boxes, masks, phrases = torch.zeros(2, 30, 4), torch.zeros(2, 30), torch.zeros(2, 30, 48)
    for i in range(count):
        height, width, top, left = BOXES[i]
        boxes[:, i] = torch.tensor([left / 16, top / 8, (left + width) / 16, (top + height) / 8])
        masks[:, i], phrases[:, i] = 1, PHRASES[i]
    gligen_inputs = {"boxes": boxes, "masks": masks, "positive_embeddings": phrases}
    with torch.no_grad():
        expected = theirs(x, times, context, cross_attention_kwargs={"gligen": gligen_inputs}).sample
        ours = network(x, times, context, hooks=grounding.hooks(x))
    assert relative_error(ours, expected) < TOLERANCE


def test_a_phrase_of_another_text_encoder_is_refused(file: Path):
    gligen = ModelStore().gligen(file)
    assert isinstance(gligen, Gligen)
    with pytest.raises(ValueError, match="phrases of width 48, not 1024"):
        Grounding(gligen, (GroundedBox(torch.zeros(1, 1024), 1, 1, 0, 0),)).hooks(torch.zeros(1, 4, 8, 8))


def test_a_file_without_such_layers_is_refused(tmp_path: Path):
    save_file({"decoder.conv_in.weight": torch.zeros(1, 1, 3, 3)}, tmp_path / "vae.safetensors")
    with pytest.raises(CheckpointError, match=r"vae\.safetensors: this looks like a VAE; expected a GLIGEN model"):
        ModelStore().gligen(tmp_path / "vae.safetensors")
