"""CLIP, VAE, CONTROL_NET, CLIP_VISION and LoRAs as packs use them: what they do is what ours do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from compat.border import from_pack, to_pack
from compat.world import World
from diffusion import autoencode
from diffusion.models import clip_vision
from diffusion.patches.lora.apply import apply_lora
from diffusion.patches.lora.file import open_lora
from diffusion.patches.weights import patched
from diffusion.sampling.control import ControlLink
from diffusion.text.encode import encode, prompt_tokens
from tests.compat.test_sampling import Conds, close, ours
from tests.nodes import tiny

Sampled = Callable[..., Tensor]
PROMPT = "a (red:1.3) fox in the ((snow))"


# CLIP


def test_tokens_are_chunks_by_encoder_with_weights_and_words(clip: Any):
    tokens = clip.tokenize(PROMPT, return_word_ids=True)
    assert set(tokens) == {"l"}
    [chunk] = tokens["l"]
    assert len(chunk) == 77
    assert (chunk[0], chunk[-1][0]) == ((49406, 1.0, 0), 49407)
    assert [weight for _, weight, word in chunk if word][:3] == [1.0, 1.3, 1.0]
    assert all(len(pair) == 2 for pair in clip.tokenize(PROMPT)["l"][0])


def test_encoding_is_ours(clip: Any):
    handle = tiny.text_encoders()
    wanted = encode(handle, prompt_tokens(handle, PROMPT))
    cond, pooled = clip.encode_from_tokens(clip.tokenize(PROMPT), return_pooled=True)
    assert torch.equal(cond, wanted.context)
    assert torch.equal(pooled, wanted.pooled)
    made = clip.encode_from_tokens_scheduled(clip.tokenize(PROMPT), add_dict={"guidance": 3.5})
    assert set(made[0][1]) >= {"pooled_output", "guidance"}
    assert set(clip.encode_from_tokens(clip.tokenize(PROMPT), return_dict=True)) == {"cond", "pooled_output"}


def test_weights_of_tokens_may_be_changed_and_one_encoder_asked(clip: Any):
    tokens = clip.tokenize("red")
    heavy = {"l": [[(token, 2.0) for token, _ in chunk] for chunk in tokens["l"]]}
    cond, _ = clip.cond_stage_model.clip_l.encode_token_weights(heavy["l"])
    assert torch.equal(cond, clip.encode_from_tokens(heavy))
    assert not torch.equal(cond, clip.encode_from_tokens(tokens))
    assert clip.tokenizer.clip_l.tokenizer("red")["input_ids"][0] == 49406


def test_two_encoders_have_two_names(world: World):
    clip = to_pack(tiny.sdxl_text_encoders())
    from comfy.sdxl_clip import SDXLClipG, SDXLClipModel

    assert isinstance(clip.cond_stage_model, SDXLClipModel)
    assert isinstance(clip.cond_stage_model.clip_g, SDXLClipG)
    tokens = clip.tokenize({"clip_g": "a", "clip_l": "b"})
    assert set(tokens) == {"l", "g"}
    wide = clip.encode_from_tokens(tokens)
    left = clip.cond_stage_model.clip_l.encode_token_weights(tokens["l"])[0]
    assert torch.equal(wide[..., : left.shape[2]], left)


def test_a_clone_stops_at_another_layer_and_goes_back_to_our_nodes(clip: Any):
    short = clip.clone()
    short.clip_layer(-2)
    plain, changed = (one.encode_from_tokens(one.tokenize("fox")) for one in (clip, short))
    assert not torch.equal(plain, changed)
    handle = from_pack(short)
    assert torch.equal(encode(handle, prompt_tokens(handle, "fox")).context, changed)
    assert clip.layer_idx is None
    again = to_pack(from_pack(clip))
    assert torch.equal(again.encode_from_tokens(again.tokenize("fox")), plain)


# LoRA and other patches of weights


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    """A LoRA for both parts of the small model, in the names of kohya's scripts."""
    torch.manual_seed(4)
    tensors: dict[str, Tensor] = {}
    network, text = tiny.model().network.state_dict(), tiny.text_encoders().networks["clip_l"].state_dict()
    modules = {
        "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q": network[
            "input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"
        ],
        "lora_te_text_model_encoder_layers_0_mlp_fc1": text["text_model.encoder.layers.0.mlp.fc1.weight"],
    }
    for name, weight in modules.items():
        tensors[f"{name}.lora_up.weight"] = torch.randn(weight.shape[0], 2)
        tensors[f"{name}.lora_down.weight"] = torch.randn(2, weight.shape[1])
        tensors[f"{name}.alpha"] = torch.tensor(1.0)
    save_file(tensors, tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def test_a_lora_does_what_ours_does(lora: Path, patcher: Any, clip: Any, conds: Conds, sampled: Sampled):
    from comfy.sd import load_lora_for_models
    from comfy.utils import load_torch_file

    model, text = load_lora_for_models(patcher, clip, load_torch_file(lora), 0.8, 0.5)
    applied = apply_lora(open_lora(lora), tiny.model(), tiny.text_encoders(), 0.8, 0.5)
    assert applied.model is not None
    assert applied.text_encoders is not None
    wanted = ours(applied.model, conds)
    assert close(sampled(model), wanted)
    assert close(ours(from_pack(model), conds), wanted)
    assert not close(sampled(patcher), wanted)
    cond = text.encode_from_tokens(text.tokenize("fox"))
    assert close(cond, encode(applied.text_encoders, prompt_tokens(applied.text_encoders, "fox")).context)
    assert from_pack(model).driver is None


def test_the_last_lora_is_kept_by_the_loaders_instance(lora: Path, world: World, patcher: Any, clip: Any):
    import nodes

    folder = world.folders.models / "loras"
    lora.rename(folder / "tiny.safetensors")
    loader = nodes.LoraLoader()  # pyright: ignore[reportAttributeAccessIssue]  # laid over
    model, text = loader.load_lora(patcher, clip, "tiny.safetensors", 1.0, 1.0)
    assert len(model.patches) == 1
    assert len(text.patcher.patches) == 1
    assert loader.loaded_lora is not None
    assert loader.load_lora(patcher, clip, "tiny.safetensors", 0, 0) == (patcher, clip)


@pytest.mark.parametrize(
    ("patch", "strength", "wanted"),
    [
        (("diff", (torch.ones(2, 2),)), 0.5, 1.5),
        ((torch.ones(2, 2),), 2.0, 3.0),
        (("set", (torch.full((2, 2), 7.0),)), 1.0, 7.0),
        (("lora", (torch.ones(2, 1), torch.ones(1, 2), 1.0, None, None)), 1.0, 2.0),
    ],
)
def test_patches_of_every_kind_change_a_weight(patch: Any, strength: float, wanted: float, world: World):
    from comfy.lora import calculate_weight

    made = calculate_weight([(strength, patch, 1.0, None, None)], torch.ones(2, 2), "key")
    assert torch.equal(made, torch.full((2, 2), wanted))


def test_merging_by_key_patches_is_a_mean_of_weights(world: World):
    one, other = to_pack(tiny.model()), to_pack(tiny.model())
    key = "diffusion_model.out.2.weight"
    added = one.clone()
    assert added.add_patches({key: other.get_key_patches("diffusion_model.")[key], "nothing": ()}, 0.25, 0.75) == [key]
    network = patched(from_pack(added).network, from_pack(added).patches)
    mine, theirs = one.model_state_dict()[key], other.model_state_dict()[key]
    assert torch.allclose(network.state_dict()["out.2.weight"], 0.75 * mine + 0.25 * theirs)


def test_patching_a_model_by_hand_and_taking_it_back(patcher: Any):
    key = "diffusion_model.out.2.weight"
    before = patcher.model.state_dict()[key].clone()
    changed = patcher.clone()
    changed.add_patches({key: (torch.ones_like(before),)})
    changed.patch_model()
    assert torch.allclose(changed.model.state_dict()[key], before + 1)
    changed.unpatch_model()
    assert torch.equal(patcher.model.state_dict()[key], before)
    assert changed.is_clone(patcher)
    assert changed.model_dtype() == torch.float32
    assert changed.model_size() > 0


def test_objects_that_packs_attach_are_carried_through_clones(patcher: Any):
    seen: list[object] = []
    model = patcher.clone()
    model.set_attachments("mine", "value")
    model.add_callback_with_key("on_clone", "mine", lambda old, new: seen.append(new))
    twin = model.clone()
    assert twin.get_attachment("mine") == "value"
    assert seen == [twin]
    twin.model_options["transformer_options"]["x"] = 1
    assert "x" not in model.model_options["transformer_options"]
    assert patcher.get_model_object("diffusion_model.out") is patcher.model.diffusion_model.out


# VAE


def test_a_vae_does_what_ours_does(vae: Any):
    handle = tiny.autoencoder()
    torch.manual_seed(0)
    image = torch.rand(1, 64, 48, 3)
    latent = vae.encode(image)
    assert torch.equal(latent, autoencode.encode(handle, image))
    assert torch.equal(vae.decode(latent), autoencode.decode(handle, latent))
    assert vae.decode_tiled(latent, tile_x=4, tile_y=4, overlap=1).shape == image.shape
    assert vae.encode_tiled(image, tile_x=32, tile_y=32, overlap=8).shape == latent.shape
    assert (vae.downscale_ratio, vae.spacial_compression_decode(), vae.latent_channels) == (8, 8, 4)


def test_a_vae_is_made_of_tensors(vae: Any):
    from comfy.sd import VAE

    made = VAE(sd=vae.get_sd())
    latent = torch.randn(1, 4, 4, 4)
    assert torch.allclose(made.decode(latent), vae.decode(latent), atol=1e-5)
    with pytest.raises(ValueError, match="no VAE"):
        VAE(sd={"x": torch.zeros(1)})


# CONTROL_NET and CLIP_VISION


def test_a_control_network_acts_the_same_in_both_samplers(patcher: Any, conds: Conds, sampled: Sampled):
    control = to_pack(tiny.control_net())
    torch.manual_seed(0)
    hint = torch.rand(1, 64, 64, 3)
    plain = sampled(patcher)
    link = ControlLink(tiny.control_net(), hint, 0.7, 0.1, 0.9)
    native = [[[c[0], {**c[1], "control": link, "control_apply_to_uncond": True}] for c in cond] for cond in conds]
    wanted = ours(from_pack(patcher), (native[0], native[1]))
    assert not close(plain, wanted)
    mine = control.copy().set_cond_hint(hint.movedim(-1, 1), 0.7, (0.1, 0.9))
    for cond in conds:
        for entry in cond:
            entry[1].update(control=mine, control_apply_to_uncond=True)
    assert close(sampled(patcher), wanted)
    assert close(ours(from_pack(patcher), conds), wanted)
    [[_, options]] = to_pack(native[0])
    assert type(options["control"]).__name__ == "ControlNet"


def test_controls_are_chained(patcher: Any, conds: Conds, sampled: Sampled):
    hint = torch.rand(1, 3, 64, 64)
    first = to_pack(tiny.control_net()).copy().set_cond_hint(hint, 0.5)
    second = to_pack(tiny.control_net()).copy().set_cond_hint(hint, 0.5).set_previous_controlnet(first)
    one = to_pack(tiny.control_net()).copy().set_cond_hint(hint, 1.0)
    made: list[Tensor] = []
    for control in (second, one):
        conds[0][0][1]["control"] = control
        made.append(sampled(patcher))
    assert close(made[0], made[1])


@pytest.mark.parametrize(("make", "tokens", "width"), [(tiny.clip_vision, 5, 24), (tiny.siglip, 4, 32)])
def test_a_picture_is_seen_as_by_ours(world: World, make: Callable[[], Any], tokens: int, width: int):
    network = make()
    model = to_pack(network)
    torch.manual_seed(0)
    image = torch.rand(2, 40, 30, 3)
    seen, wanted = model.encode_image(image), clip_vision.encode_image(network, image)
    assert torch.equal(seen["image_embeds"], wanted.image_embeds)
    assert torch.equal(seen.penultimate_hidden_states, wanted.penultimate_hidden_state)
    assert from_pack(model) is network
    assert torch.equal(from_pack(seen).last_hidden_state, wanted.last_hidden_state)
    last, inner, embeds = model.model(pixel_values=torch.rand(1, 3, 28, 28), intermediate_output=-2)[:3]
    assert (last.shape[1], inner.shape[1], embeds.shape[1]) == (tokens, tokens, width)


def test_hooks_put_a_lora_on_one_conditioning_alone(lora: Path, patcher: Any, conds: Conds, sampled: Sampled):
    from comfy import hooks
    from comfy.utils import load_torch_file

    group = hooks.create_hook_lora(load_torch_file(lora), 1.0, 1.0)
    plain = sampled(patcher, cfg=1.0)
    positive = hooks.set_hooks_for_conditioning(conds[0], group)
    assert "hooks" not in conds[0][0][1]
    conds[0][:] = positive
    hooked = sampled(patcher, cfg=1.0)
    applied = apply_lora(open_lora(lora), tiny.model(), None)
    assert applied.model is not None
    assert close(hooked, ours(applied.model, ([[conds[0][0][0], {}]], conds[1]), cfg=1.0))
    assert close(ours(from_pack(patcher), conds, cfg=1.0), hooked)
    del conds[0][0][1]["hooks"]
    assert close(sampled(patcher, cfg=1.0), plain)
