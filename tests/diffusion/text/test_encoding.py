"""Conditioning agrees with transformers and with diffusers' pipelines on random text encoders."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import StableDiffusionXLPipeline
from torch import Tensor
from transformers import CLIPTokenizer

from diffusion.families.sd2 import SD2
from diffusion.families.sd15 import SD15
from diffusion.families.sdxl import SDXL, SDXL_REFINER
from diffusion.handles import TextEncoders
from diffusion.text.encode import Encoded, encode, prompt_tokens
from diffusion.text.tokens import Tokens
from diffusion.text.vocabulary import clip_vocabulary
from tests.diffusion.text.encoders import LAYERS, handle, reference


def tiny(family: Any) -> tuple[TextEncoders, dict[str, Any]]:
    specs = tuple(replace(spec, head_width=8) for spec in family.text_encoders)
    models = {spec.name: reference(spec, seed) for seed, spec in enumerate(specs)}
    return handle(replace(family, text_encoders=specs), models), models


def conditioning(encoders: TextEncoders, text: str | dict[str, str]) -> Encoded:
    return encode(encoders, prompt_tokens(encoders, text))


def states(model: Any, tokens: Tokens, name: str) -> tuple[Any, Tensor]:
    """transformers' hidden states (input first), and its projected pooled output."""
    ids = torch.tensor([[token.value for token in chunk] for chunk in tokens.chunks[name]])
    with torch.no_grad():
        out = model(ids, output_hidden_states=True)
    return out.hidden_states, out.text_embeds


def close(found: Tensor | None, expected: Tensor | None) -> None:
    assert found is not None
    assert expected is not None
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def sd15():
    return tiny(SD15)


@pytest.mark.parametrize("family", [SD15, SD2])
@pytest.mark.parametrize("skip", [None, -1, -2, -LAYERS, -LAYERS - 1, -20])
def test_sd1_and_sd2_norm_the_layer_that_clip_skip_chooses(family: Any, skip: int | None):
    encoders, models = tiny(family)
    spec = family.text_encoders[0]
    tokens = prompt_tokens(encoders, "a cat on a mat")
    found = encode(encoders if skip is None else encoders.stopping_at(skip), tokens)
    hidden, _ = states(models[spec.name], tokens, spec.name)
    wanted = skip or spec.hidden_state
    wanted = wanted if -wanted <= LAYERS else -1
    with torch.no_grad():
        close(found.context, models[spec.name].text_model.final_layer_norm(hidden[wanted]))
    assert found.context.shape == (1, 77, 32)


@pytest.mark.parametrize("prompt", ["a cat, by an artist", "", "tree " * 30])
def test_sdxl_agrees_with_diffusers(prompt: str):
    encoders, models = tiny(SDXL)
    tokenizer: Any = CLIPTokenizer
    vocabulary = {"vocab": clip_vocabulary().ids, "merges": clip_vocabulary().merges, "model_max_length": 77}
    tokenizers = [tokenizer(**vocabulary, pad_token=pad) for pad in ("<|endoftext|>", "!")]
    absent: Any = None
    pipeline: Any = StableDiffusionXLPipeline(
        vae=absent,
        unet=absent,
        scheduler=absent,
        text_encoder=models["clip_l"].text_model,
        text_encoder_2=models["clip_g"],
        tokenizer=tokenizers[0],
        tokenizer_2=tokenizers[1],
        add_watermarker=False,
    )
    with torch.no_grad():
        context, _, pooled, _ = pipeline.encode_prompt(prompt, device="cpu", do_classifier_free_guidance=False)
    found = conditioning(encoders, prompt)
    close(found.context, context)
    close(found.pooled, pooled)


def test_sdxl_takes_one_prompt_for_each_encoder():
    encoders, _ = tiny(SDXL)
    both = conditioning(encoders, {"clip_l": "a cat", "clip_g": "a dog"})
    cat, dog = conditioning(encoders, "a cat"), conditioning(encoders, "a dog")
    close(both.context, torch.cat([cat.context[..., :32], dog.context[..., 32:]], -1))
    close(both.pooled, dog.pooled)


def test_the_refiner_reads_the_large_encoder_alone():
    encoders, models = tiny(SDXL_REFINER)
    tokens = prompt_tokens(encoders, "a cat")
    hidden, pooled = states(models["clip_g"], tokens, "clip_g")
    found = encode(encoders, tokens)
    close(found.context, hidden[-2])
    close(found.pooled, pooled)


def test_long_prompts_are_chunks_one_after_the_other_and_pooled_from_the_first(sd15):
    encoders, _ = sd15
    long = conditioning(encoders, "cat " * 75 + "dog")
    assert long.context.shape == (1, 154, 32)
    close(long.context[:, :77], conditioning(encoders, "cat " * 75).context)
    close(long.context[:, 77:], conditioning(encoders, "dog").context)
    close(long.pooled, conditioning(encoders, "cat " * 75).pooled)


def test_a_weight_moves_tokens_from_the_empty_prompt(sd15):
    encoders, _ = sd15
    empty, plain = conditioning(encoders, "").context, conditioning(encoders, "a cat").context
    weighted = conditioning(encoders, "a (cat:1.7)")
    expected = plain.clone()
    expected[:, 2] = empty[:, 2] + 1.7 * (plain[:, 2] - empty[:, 2])
    close(weighted.context, expected)
    unweighted = conditioning(encoders, "a cat").pooled
    assert weighted.pooled is not None
    assert unweighted is not None
    assert torch.equal(weighted.pooled, unweighted)


def test_tokens_of_weight_one_stay_bit_for_bit_what_they_are(sd15):
    encoders, _ = sd15
    plain, weighted = conditioning(encoders, "a cat"), conditioning(encoders, "a (cat:0.5)")
    torch.testing.assert_close(weighted.context[:, :2], plain.context[:, :2], rtol=0, atol=1e-6)


def test_pooling_is_at_the_first_end_token(sd15):
    encoders, _ = sd15
    found = conditioning(encoders, "a<|endoftext|>cat")
    close(found.pooled, conditioning(encoders, "a").pooled)


def test_vectors_of_an_embedding_stand_for_tokens(sd15, tmp_path: Any):
    from safetensors.torch import save_file

    from diffusion.text.embeddings import EmbeddingFolders

    encoders, models = sd15
    table = models["clip_l"].text_model.embeddings.token_embedding.weight.detach()
    save_file({"<x>": table[[320, 2368]].clone()}, tmp_path / "pair.safetensors")
    tokens = prompt_tokens(encoders, "embedding:pair", EmbeddingFolders((tmp_path,)))
    close(encode(encoders, tokens).context, conditioning(encoders, "a cat").context)


def test_weights_stored_in_half_are_computed_in_full_on_the_cpu(sd15):
    encoders, _ = sd15
    halved = {name: network.half() for name, network in tiny(SD15)[0].networks.items()}
    rounded = {name: network.float() for name, network in tiny(SD15)[0].networks.items()}
    for network in rounded.values():
        for parameter in network.parameters():
            parameter.data = parameter.data.half().float()
    found = conditioning(replace(encoders, networks=halved), "a (cat:1.2)")
    assert found.context.dtype == torch.float32
    assert torch.equal(found.context, conditioning(replace(encoders, networks=rounded), "a (cat:1.2)").context)


def test_a_damaged_text_encoder_is_named():
    encoders, _ = tiny(SDXL)
    encoders.networks["clip_g"].get_parameter("text_model.encoder.layers.0.mlp.fc1.weight").data.fill_(torch.nan)
    damaged = replace(encoders, source="broken.safetensors")
    with pytest.raises(ValueError, match=r"text encoder clip_g of broken\.safetensors answered with NaN"):
        encode(damaged, prompt_tokens(damaged, "a cat"))
