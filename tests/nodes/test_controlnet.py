"""Control networks: attached to prompts, they act in sampling, from one share of it to another."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from diffusion import latents
from diffusion.autoencode import encode
from diffusion.families.sd2 import SD2
from diffusion.families.sd15 import SD15
from diffusion.handles import ControlNet
from diffusion.models.controlnet import ControlNet as ControlNetwork
from diffusion.models.controlnet_union import UnionConfig, UnionControlNet
from diffusion.patches.hooks import Control
from diffusion.store import ModelStore
from nodes.previews import Previews
from storage.folders import Folders
from tests.diffusion.models.oracle import randomised
from tests.nodes import tiny
from tests.nodes.conftest import Call, FakeRun
from tests.nodes.test_loaders import put

OUT = "middle_block_out.0.bias"


@pytest.fixture(scope="module")
def control_net() -> ControlNet:
    return tiny.control_net()


@pytest.fixture(autouse=True)
def folders(given: dict[str, Any], tmp_path: Path) -> Folders:
    given["folders"], given["store"], given["previews"] = Folders(tmp_path), ModelStore(), Previews("none")
    return given["folders"]


@pytest.fixture(scope="module")
def model():
    return tiny.model()


HINT = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))


def sampled(call: Call, model: Any, positive: Any, negative: Any) -> torch.Tensor:
    return call(
        "KSampler",
        model=model,
        seed=1,
        steps=2,
        cfg=4.0,
        sampler_name="euler",
        scheduler="normal",
        positive=positive,
        negative=negative,
        latent_image={"samples": torch.zeros(1, 4, 8, 8)},
        denoise=1.0,
    )["samples"]


def test_a_control_network_is_loaded_and_one_of_differences_with_its_model(
    call: Call, folders: Folders, control_net: ControlNet
):
    name = put(folders, "controlnet", "c.safetensors", dict(control_net.network.state_dict()))
    network = call("ControlNetLoader", control_net_name=name).network
    assert torch.equal(network.get_parameter(OUT), control_net.network.state_dict()[OUT])
    base = tiny.model()
    shared = "input_blocks.1.0.in_layers.2.weight"
    differences = {f"control_model.{name}": tensor for name, tensor in control_net.network.state_dict().items()}
    name = put(folders, "controlnet", "d.safetensors", {**differences, "difference": torch.zeros(1)})
    network = call("DiffControlNetLoader", model=base, control_net_name=name).network
    expected = base.network.get_parameter(shared) + control_net.network.get_parameter(shared)
    assert torch.allclose(network.get_parameter(shared), expected)
    with pytest.raises(ValueError, match=r"d\.safetensors: holds differences to a model; load it together with"):
        call("ControlNetLoader", control_net_name=name)


def applied(call: Call, control_net: ControlNet, **sent: Any) -> Any:
    usual = {"positive": tiny.prompt(0), "negative": tiny.prompt(1), "image": HINT, "strength": 1.0}
    return call("ControlNetApplyAdvanced", control_net=control_net, **{**usual, **sent})


def test_a_picture_guides(call: Call, model: Any, control_net: ControlNet):
    plain = sampled(call, model, tiny.prompt(0), tiny.prompt(1))
    guided = sampled(call, model, *applied(call, control_net))
    assert not tiny.close(plain, guided)


@pytest.mark.parametrize("sent", [{"strength": 0.0}, {"start_percent": 0.4, "end_percent": 0.6}])
def test_without_strength_or_outside_its_time_it_does_not(call: Call, model: Any, control_net: ControlNet, sent: Any):
    plain = sampled(call, model, tiny.prompt(0), tiny.prompt(1))
    assert torch.equal(sampled(call, model, *applied(call, control_net, **sent)), plain)


def test_the_old_way_reaches_the_negative_prompt_too(call: Call, model: Any, control_net: ControlNet):
    sent = {"control_net": control_net, "image": HINT, "strength": 1.0}
    old = call("ControlNetApply", conditioning=tiny.prompt(0), **sent)
    new = sampled(call, model, *applied(call, control_net))
    assert tiny.close(sampled(call, model, old, tiny.prompt(1)), new)
    assert (
        call("ControlNetApply", conditioning=tiny.prompt(0), **{**sent, "strength": 0.0})[0][1].get("control") is None
    )


def test_several_act_together(call: Call, model: Any, control_net: ControlNet):
    positive, negative = applied(call, control_net, strength=0.5)
    both = applied(call, control_net, strength=0.5, positive=positive, negative=negative)
    assert tiny.close(sampled(call, model, *both), sampled(call, model, *applied(call, control_net)))


@pytest.fixture(scope="module")
def union() -> ControlNet:
    return ControlNet(randomised(UnionControlNet(tiny.UNET, UnionConfig(types=6, layers=1))), SD15, source="union.pth")


def test_a_network_for_many_kinds_of_hints_is_told_the_kind(call: Call, model: Any, union: ControlNet):
    def picture(type: str) -> torch.Tensor:
        told = call("SetUnionControlNetType", control_net=union, type=type)
        return sampled(call, model, *applied(call, told))

    untold = sampled(call, model, *applied(call, union))
    pictures = [picture("auto"), picture("depth"), picture("segment")]
    assert tiny.close(pictures[0], untold)
    assert not any(tiny.close(a, b) for i, a in enumerate(pictures) for b in pictures[i + 1 :])


def test_a_kind_that_a_network_does_not_know_is_refused_and_one_of_a_single_kind_left_alone(
    call: Call, union: ControlNet, control_net: ControlNet, run: FakeRun
):
    with pytest.raises(ValueError, match=r"union\.pth does not know 'repaint'; it knows openpose, depth, .*segment$"):
        call("SetUnionControlNetType", control_net=union, type="repaint")
    assert call("SetUnionControlNetType", control_net=control_net, type="tile") is control_net
    assert any("one kind of hint only" in note for note in run.notes)


class Shown(torch.nn.Module):
    """Adds nothing, and remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[dict[str, Any]] = []

    def forward(self, x: torch.Tensor, times: torch.Tensor, context: torch.Tensor, y: Any, hint: torch.Tensor) -> Any:
        self.calls.append({"context": context, "hint": hint})
        return Control()


def test_a_network_for_inpainting_sees_the_surroundings_as_a_latent_and_what_stays(call: Call, model: Any):
    vae, mask = tiny.autoencoder(), torch.zeros(1, 64, 64)
    mask[:, 16:40, 8:64] = 1
    network = Shown()
    handle = ControlNet(network, SD15, hints=latents.SD15, takes_mask=True, source="inpaint.safetensors")
    sent = {"positive": tiny.prompt(0), "negative": tiny.prompt(1), "image": HINT, "strength": 1.0}
    usual = {**sent, "start_percent": 0.0, "end_percent": 1.0, "control_net": handle, "vae": vae}
    sampled(call, model, *call("ControlNetInpaintingAliMamaApply", mask=mask, **usual))
    stays = 1 - mask[:, None, 4::8, 4::8]
    expected = latents.SD15.to_model(encode(vae, HINT * (1 - mask[..., None])))
    hint = network.calls[0]["hint"][:1]
    assert torch.equal(hint[:, 4:], stays)
    assert torch.allclose(hint[:, :4], expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"inpaint\.safetensors is for inpainting: .*ControlNetInpaintingAliMamaApply"):
        sampled(call, model, *call("ControlNetApplyAdvanced", **usual))
    with pytest.raises(ValueError, match=r"inpaint\.safetensors sees its hint as a latent: connect the VAE"):
        sampled(call, model, *call("ControlNetApplyAdvanced", **{**usual, "vae": None}))
    wide = replace(vae, channels=16, source="flux-ae.safetensors")
    with pytest.raises(ValueError, match=r"latents of 4 channels; the VAE flux-ae\.safetensors makes 16"):
        sampled(call, model, *call("ControlNetApplyAdvanced", **{**usual, "vae": wide}))


def test_control_networks_may_read_a_text_of_their_own(call: Call, model: Any, given: dict[str, Any]):
    clip, network = tiny.text_encoders(), Shown()
    own = call("CLIPTextEncode", clip=clip, text="a hand")[0][0]
    positive = call("CLIPTextEncodeControlnet", clip=clip, conditioning=tiny.prompt(0), text="a hand")
    handle = ControlNet(network, SD15)
    sampled(call, model, *applied(call, handle, positive=positive))
    first, second = network.calls[0]["context"]
    assert torch.allclose(first, own[0])
    assert torch.allclose(second, tiny.prompt(1)[0][0][0])


def test_a_control_network_for_another_model_line_is_refused_before_sampling(call: Call, model: Any):
    config = replace(tiny.UNET, context_width=48)
    other = ControlNet(randomised(ControlNetwork(config)), SD2, source="/models/controlnet/depth-sd2.safetensors")
    with pytest.raises(ValueError, match=r"^depth-sd2\.safetensors: this ControlNet is for SD 2\.x, .*is SD 1\.x"):
        sampled(call, model, *applied(call, other))
