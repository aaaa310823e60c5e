"""T5 beside and without CLIP: tokens as sentencepiece has them, states as transformers has them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
from torch import Tensor
from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

from diffusion.families.family import Family
from diffusion.families.flux import FLUX
from diffusion.families.sd3 import SD3
from diffusion.families.text_encoders import Padding
from diffusion.handles import TextEncoders
from diffusion.text.clip import build_clip
from diffusion.text.encode import Encoded, encode, prompt_tokens
from diffusion.text.networks import TextEncoderError
from diffusion.text.t5 import build_t5
from diffusion.text.tokenizers import SentencePiece, TokenizerFolders, TokenizerMissing
from tests.diffusion.text.encoders import WIDTH, reference, tensors
from tests.diffusion.text.sentencepieces import model

T5_WIDTH = 80


def t5(seed: int = 0, kind: tuple[Any, Any] = (T5Config, T5EncoderModel)) -> Any:
    config = kind[0](
        vocab_size=96, d_model=T5_WIDTH, d_kv=16, d_ff=64, num_layers=3, num_heads=4, feed_forward_proj="gated-gelu"
    )
    torch.manual_seed(seed)
    network = kind[1](config).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network


def encoders(family: Family[Any], *names: str) -> tuple[TextEncoders, dict[str, Any]]:
    """Those of the family that are named, all of it if none is."""
    specs = tuple(
        replace(spec, head_width=8, width=T5_WIDTH if spec.kind == "t5" else WIDTH) for spec in family.text_encoders
    )
    wanted = [spec for spec in specs if not names or spec.name in names]
    theirs = {s.name: t5(i) if s.kind == "t5" else reference(s, i) for i, s in enumerate(wanted)}
    networks = {
        s.name: build_t5(unique(theirs[s.name]), s) if s.kind == "t5" else build_clip(tensors(theirs[s.name]), s)
        for s in wanted
    }
    handle = TextEncoders(networks, replace(family, text_encoders=specs), tokenizers={"t5xxl": SentencePiece(model())})
    return handle, theirs


def unique(network: Any) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors(network).items() if name != "encoder.embed_tokens.weight"}


def conditioning(handle: TextEncoders, text: str | dict[str, str]) -> Encoded:
    return encode(handle, prompt_tokens(handle, text))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_tokens_are_those_of_sentencepiece_then_an_end_then_padding():
    handle, _ = encoders(FLUX)
    [chunk] = prompt_tokens(handle, "a red star on the mat").chunks["t5xxl"]
    processor: Any = sentencepiece.SentencePieceProcessor
    expected = processor(model_proto=model()).encode("a red star on the mat")
    ids = [token.value for token in chunk]
    assert ids == [*expected, 1, *[0] * (256 - len(expected) - 1)]


def test_a_long_prompt_is_one_chunk_of_whatever_length():
    handle, _ = encoders(SD3)
    [short], [long] = (prompt_tokens(handle, text).chunks["t5xxl"] for text in ("a cat", "a cat " * 300))
    assert (len(short), len(long) > 600) == (77, True)


def test_padding_can_be_asked_for():
    handle, _ = encoders(SD3)
    tokens = [
        prompt_tokens(replace(handle, padding=padding), "a cat").chunks["t5xxl"][0]
        for padding in (Padding(), Padding(least_padding=5), Padding(least_tokens=20))
    ]
    length = len(SentencePiece(model()).ids("a cat")) + 1
    assert [len(chunk) for chunk in tokens] == [length, length + 5, 20]


def test_flux_reads_t5_and_of_clip_the_pooled_vector():
    handle, theirs = encoders(FLUX)
    tokens = prompt_tokens(handle, "a painting of a (dog)")
    found = encode(handle, replace(tokens, chunks={**tokens.chunks}))
    ids = {name: torch.tensor([[token.value for token in chunks[0]]]) for name, chunks in tokens.chunks.items()}
    plain = conditioning(handle, "a painting of a dog")
    with torch.no_grad():
        pooled = theirs["clip_l"].text_model(ids["clip_l"]).pooler_output
    assert found.pooled is not None
    close(found.pooled, pooled)
    assert plain.context.shape == (1, 256, T5_WIDTH)


def test_t5_agrees_with_transformers():
    handle, theirs = encoders(FLUX)
    text = "a painting of a dog"
    ids = torch.tensor([[token.value for token in prompt_tokens(handle, text).chunks["t5xxl"][0]]])
    with torch.no_grad():
        close(conditioning(handle, text).context, theirs["t5xxl"](ids).last_hidden_state)


def test_umt5_agrees_with_transformers():
    """Its position biases are in every layer."""
    theirs = t5(kind=(UMT5Config, UMT5EncoderModel))
    spec = FLUX.text_encoders[1]
    ours: Any = build_t5(unique(theirs), spec)
    handle = TextEncoders({"t5xxl": ours}, FLUX, tokenizers={"t5xxl": SentencePiece(model())})
    ids = torch.tensor([[token.value for token in prompt_tokens(handle, "a cat").chunks["t5xxl"][0]]])
    with torch.no_grad():
        close(conditioning(handle, "a cat").context, theirs(ids).last_hidden_state)


def test_sd3_puts_clips_beside_each_other_and_t5_after_them():
    handle, theirs = encoders(SD3)
    tokens = prompt_tokens(handle, "a cat on a mat")
    found = encode(handle, tokens)
    ids = {name: torch.tensor([[token.value for token in chunks[0]]]) for name, chunks in tokens.chunks.items()}
    with torch.no_grad():
        clip_l = theirs["clip_l"](ids["clip_l"], output_hidden_states=True)
        clip_g = theirs["clip_g"](ids["clip_g"], output_hidden_states=True)
        last = theirs["t5xxl"](ids["t5xxl"]).last_hidden_state
        pooled_l = theirs["clip_l"].text_model(ids["clip_l"]).pooler_output
    beside = torch.cat([clip_l.hidden_states[-2], clip_g.hidden_states[-2]], dim=2)
    close(found.context[:, :77], torch.nn.functional.pad(beside, (0, T5_WIDTH - 2 * WIDTH)))
    close(found.context[:, 77:], last)
    assert found.pooled is not None
    close(found.pooled, torch.cat([pooled_l, clip_g.text_embeds], dim=1))


@pytest.mark.parametrize(
    ("names", "tokens", "first", "pooled"),
    [
        (("clip_l",), 77, 0, (True, False)),
        (("clip_g",), 77, WIDTH, (False, True)),
        (("t5xxl",), 77, 0, (False, False)),
        (("clip_l", "t5xxl"), 154, 0, (True, False)),
        (("clip_l", "clip_g"), 77, 0, (True, True)),
    ],
)
def test_sd3_makes_do_with_any_of_its_encoders(
    names: tuple[str, ...], tokens: int, first: int, pooled: tuple[bool, bool]
):
    handle, _ = encoders(SD3, *names)
    found = conditioning(handle, "a cat")
    assert found.context.shape == (1, tokens, T5_WIDTH)
    assert not found.context[:, :77, :first].any()
    assert found.pooled is not None
    assert (bool(found.pooled[:, :WIDTH].any()), bool(found.pooled[:, WIDTH:].any())) == pooled


def test_an_encoder_that_is_given_no_prompt_counts_as_missing():
    handle, _ = encoders(SD3)
    alone, _ = encoders(SD3, "clip_l", "clip_g")
    some = conditioning(handle, {"clip_l": "a cat", "clip_g": "a cat"})
    assert torch.equal(some.context, conditioning(alone, "a cat").context)


def test_a_weight_moves_a_token_from_the_empty_prompt():
    handle, _ = encoders(FLUX)
    plain, empty = conditioning(handle, "cat"), conditioning(handle, "")
    weighted = conditioning(handle, "(cat:1.5)")
    count = len(SentencePiece(model()).ids("cat"))
    moved = empty.context + 1.5 * (plain.context - empty.context)
    close(weighted.context[:, :count], moved[:, :count])
    assert torch.equal(weighted.context[:, count:], plain.context[:, count:])


def test_clip_skip_moves_t5_too():
    handle, theirs = encoders(SD3, "t5xxl")
    ids = torch.tensor([[token.value for token in prompt_tokens(handle, "a cat").chunks["t5xxl"][0]]])
    with torch.no_grad():
        hidden = theirs["t5xxl"](ids, output_hidden_states=True).hidden_states
        close(
            conditioning(handle.stopping_at(-2), "a cat").context, theirs["t5xxl"].encoder.final_layer_norm(hidden[-2])
        )


def test_a_file_with_a_missing_tensor_is_refused():
    weights = unique(t5())
    del weights["encoder.block.1.layer.0.SelfAttention.o.weight"]
    with pytest.raises(TextEncoderError, match=r"1 tensors are missing.*block\.1"):
        build_t5(weights, FLUX.text_encoders[1])


def test_a_tokeniser_is_found_in_a_folder_and_its_absence_says_what_to_do(tmp_path: Path):
    folders = TokenizerFolders((tmp_path,))
    with pytest.raises(TokenizerMissing, match=r"main.py fetch tokenizer t5.*spiece.model of google/t5-v1_1-xxl") as e:
        folders.open("t5")
    assert str(tmp_path / "t5" / "spiece.model") in str(e.value)
    (tmp_path / "spiece.model").write_bytes(model())
    assert folders.open("t5").ids("a cat") == SentencePiece(model()).ids("a cat")


def test_a_tokeniser_in_the_encoders_file_goes_before_folders(tmp_path: Path):
    embedded = torch.frombuffer(bytearray(model()), dtype=torch.uint8)
    assert TokenizerFolders((tmp_path,)).open("t5", embedded).ids("a cat") == SentencePiece(model()).ids("a cat")


def test_prompts_for_none_of_the_encoders_that_are_there_say_so():
    from diffusion.families.sd15 import SD15

    spec = replace(SD15.text_encoders[0], head_width=8)
    networks = {"clip_l": build_clip(tensors(reference(spec)), spec)}
    with pytest.raises(ValueError, match=r"None of the text encoders of this model line \(clip_l\) was given a prompt"):
        conditioning(TextEncoders(networks, SD15), {"t5xxl": "a cat"})
