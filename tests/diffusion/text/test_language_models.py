"""Language models as text encoders: states as transformers has them, prompts in their templates."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import Gemma2Config, Gemma2Model, Qwen2Config, Qwen2Model, Qwen3Config, Qwen3Model

from diffusion.families.family import Family
from diffusion.families.lumina2 import GEMMA2, LUMINA2
from diffusion.families.text_encoders import TextEncoderSpec
from diffusion.families.z_image import QWEN3, Z_IMAGE
from diffusion.handles import TextEncoders
from diffusion.text.encode import encode, prompt_tokens
from diffusion.text.language_model import build_language_model
from diffusion.text.tokenizers import JsonTokenizer, SentencePiece
from tests.diffusion.text.encoders import tensors
from tests.diffusion.text.sentencepieces import model as sentencepiece_model

SIZES: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
QWEN: dict[str, Any] = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}, "rms_norm_eps": 1e-6}
QWEN25 = replace(QWEN3, name="qwen25_7b", tokenizer="qwen25", hidden_state=-1, final_norm=True)
CASES: dict[str, tuple[TextEncoderSpec, Any, Any]] = {
    "Gemma 2": (GEMMA2, Gemma2Model, lambda: Gemma2Config(**SIZES, head_dim=256, query_pre_attn_scalar=256)),
    "Qwen3": (QWEN3, Qwen3Model, lambda: Qwen3Config(**SIZES, head_dim=16, **QWEN)),
    "Qwen2.5": (replace(QWEN25, head_width=8), Qwen2Model, lambda: Qwen2Config(**SIZES, **QWEN)),
}


def tokenizer() -> JsonTokenizer:
    """Words, and the signs of a chat."""
    words = ["?", *["user", "assistant", "system", "a", "red", "star", "the", "picture", "of"], "\n"]
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens([AddedToken("<|im_start|>", special=True), AddedToken("<|im_end|>", special=True)])
    return JsonTokenizer(made.to_str())


def random(network: Any) -> Any:
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_states_agree_with_transformers(case: str):
    spec, kind, config = CASES[case]
    theirs = random(kind(config()))
    ours = build_language_model(tensors(theirs), spec)
    family: Family[Any] = replace(Z_IMAGE, text_encoders=(spec,))
    handle = TextEncoders({spec.name: ours}, family, tokenizers={spec.name: tokenizer()})
    tokens = prompt_tokens(handle, "a red star")
    [chunk] = tokens.chunks[spec.name]
    ids = torch.tensor([[token.value for token in chunk]])
    expected = theirs(ids, output_hidden_states=True).hidden_states[spec.hidden_state]
    torch.testing.assert_close(encode(handle, tokens).context, expected, rtol=1e-3, atol=1e-4)


def test_a_prompt_is_put_in_the_template_and_weights_are_words():
    handle = TextEncoders({"qwen3_4b": torch.nn.Embedding(4, 4)}, Z_IMAGE, tokenizers={"qwen3_4b": tokenizer()})
    [chunk] = prompt_tokens(handle, "a (red:1.5) star").chunks["qwen3_4b"]
    signs = tokenizer()
    assert [token.value for token in chunk] == signs.ids(
        "<|im_start|>user\na (red:1.5) star<|im_end|>\n<|im_start|>assistant\n"
    )
    assert {token.weight for token in chunk} == {1.0}


def test_gemma_begins_a_prompt_and_does_not_end_it():
    handle = TextEncoders(
        {"gemma2_2b": torch.nn.Embedding(4, 4)}, LUMINA2, tokenizers={"gemma2_2b": SentencePiece(sentencepiece_model())}
    )
    [chunk] = prompt_tokens(handle, "red star").chunks["gemma2_2b"]
    assert [token.value for token in chunk] == [2, *SentencePiece(sentencepiece_model()).ids("red star")]
